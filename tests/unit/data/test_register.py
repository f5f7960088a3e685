import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.register import register
from mri_cyclegan.data.volume import Volume

pytest.importorskip("SimpleITK")

AFFINE = nibabel.affines.from_matvec(np.diag([6.0, 5.0, 5.0]), (-90, -90, -80))


def rigid(degrees, shift_mm):
    angles = np.radians(degrees)
    return nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(*angles), shift_mm)


def moved(volume, motion) -> ScaledVolume:
    return ScaledVolume(volume.array, motion @ volume.affine, volume.foreground, volume.low, volume.high)


def residual(registration, motion):
    """Millimetres at the head's center, and degrees, that are left of a motion."""
    left = np.array(registration.matrix) @ motion
    center = np.array([*registration.center_mm, 1])
    angle = np.degrees(np.arccos(np.clip((np.trace(left[:3, :3]) - 1) / 2, -1, 1)))
    return float(np.linalg.norm((left @ center - center)[:3])), float(angle)


@pytest.fixture(scope="module")
def pair(module_head):
    """One head in two contrasts: what is bright in one is dark in the other, with noise of its own."""
    shape = (30, 36, 32)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    tissue = np.sin(6 * x + 1) + np.cos(7 * y) + np.sin(5 * z + 2 * x)
    array = module_head(shape)
    inside = array > 20
    random = np.random.default_rng(0)
    a, b = (np.where(inside, 300 + sign * 60 * tissue + random.normal(0, 5, shape), array) for sign in (1, -1))
    return tuple(scale_intensities(Volume(image.astype(np.float32), AFFINE)) for image in (a, b))


@pytest.mark.parametrize("motion", [rigid((0, 3, -4), (3, 0, -4)), rigid((0, 0, 5), (80, -30, 40))])
def test_a_moved_head_comes_back(pair, motion):
    """Also from where the two do not overlap at all."""
    a, b = pair
    registration = register(a, moved(b, motion))
    distance_mm, degrees = residual(registration, motion)
    assert distance_mm < 0.5
    assert degrees < 0.5
    assert registration.mutual_information > registration.mutual_information_before
    assert registration.rotation_degrees == pytest.approx(5, abs=0.5)
    np.testing.assert_allclose(registration.move(moved(b, motion)).affine, AFFINE, atol=0.5)


def test_a_head_in_its_place_stays_there(pair):
    """And the same scans give the same numbers."""
    registration = register(*pair)
    assert register(*pair) == registration
    assert registration.shift_mm < 0.1
    assert registration.rotation_degrees < 0.1


@pytest.mark.realdata
def test_real_scans_moved_by_5_mm_and_5_degrees_come_back(real_data):
    a, b = (
        read_volume(real_data / "open_ms" / "sub-07" / "anat" / f"sub-07_space-MNI_{contrast}.nii.gz")
        for contrast in ("T1w", "T2w")
    )
    a, b = (scale_intensities(Volume(one.array[::2, ::2, ::2], one.affine @ np.diag([2, 2, 2, 1]))) for one in (a, b))
    motion = rigid((3, -4, 0), (3, 0, -4))
    distance_mm, degrees = residual(register(a, moved(b, motion)), motion)
    assert distance_mm < 0.5
    assert degrees < 0.5
