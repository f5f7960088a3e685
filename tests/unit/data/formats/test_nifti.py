"""NIfTI headers by the letter of the standard, where nibabel's reading of them does not help."""

import struct
import warnings

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_volume

AFFINE = np.array([[-0.9, 0.4, 0, 80], [0.1, 1.1, 0.2, -120], [0, -0.2, 2.5, -70], [0, 0, 0, 1.0]])
ARRAY = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def save(path, image, *patches):
    """Write an image, and overwrite fields of its header: (offset, form, *values)."""
    content = bytearray(image.to_bytes())
    for offset, form, *values in patches:
        struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_nifti_2_is_read(tmp_path, name, endianness):
    image = nibabel.Nifti2Image(ARRAY, AFFINE, nibabel.Nifti2Header(endianness=endianness), dtype=np.int16)
    nibabel.save(image, tmp_path / name)
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("magic", [b"n+1\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n", b"n+2\0\n\n\x1a\n", b"n+2\0\0\0\0\0"])
def test_nifti_2_with_another_magic_is_refused(tmp_path, magic):
    path = save(tmp_path / "scan.nii", nibabel.Nifti2Image(ARRAY, AFFINE), (4, "<8s", magic))
    with pytest.raises(UnfitFile, match="bad magic"):
        read_volume(path)


def test_a_pixdim_0_of_zero_is_taken_for_one(tmp_path):
    image = nibabel.Nifti1Image(ARRAY, None)
    image.set_qform(np.diag([-1.0, 1, 1, 1]) @ AFFINE, 1)  # right-handed
    one = read_volume(save(tmp_path / "one.nii", image))
    zero = read_volume(save(tmp_path / "zero.nii", image, (76, "<f", 0.0)))
    np.testing.assert_array_equal(zero.affine, one.affine)


@pytest.mark.parametrize("thickness", [0.0, 1.0, 4.0])
def test_a_2d_images_third_voxel_size_does_not_matter(tmp_path, thickness):
    image = nibabel.Nifti1Image(ARRAY[:, :, 0], np.diag([1.0, 2.0, 3.0, 1.0]))
    volume = read_volume(save(tmp_path / "scan.nii", image, (88, "<f", thickness)))
    assert volume.array.shape == (3, 4, 1)
    assert volume.spacing_mm == (1, 2, 3)
    assert volume.warnings == ()


@pytest.mark.parametrize(("stored", "thickness"), [(4.0, 4), (0.0, 1), (-1.0, 1), (np.nan, 1)])
def test_a_2d_image_without_sform_is_as_thick_as_it_says(tmp_path, stored, thickness):
    image = nibabel.Nifti1Image(ARRAY[:, :, 0], None)
    image.set_qform(np.diag([1.0, 2.0, 3.0, 1.0]), 1)
    assert read_volume(save(tmp_path / "scan.nii", image, (88, "<f", stored))).spacing_mm == (1, 2, thickness)


@pytest.mark.parametrize("length", [1e-300, 1e-9, 1e160, 1e300])
def test_an_affine_beyond_all_measure_is_refused_without_a_warning(tmp_path, length):
    affine = np.diag([1.0, 1.0, length, 1.0])
    path = save(tmp_path / "scan.nii", nibabel.Nifti2Image(ARRAY, AFFINE), (400, "<12d", *affine[:3].ravel()))
    with warnings.catch_warnings(action="error"), pytest.raises(UnfitFile, match="singular|not in mm"):
        read_volume(path)


@pytest.mark.parametrize("excess", [-1e-5, -4e-7, 0, 5e-7, 1e-6, 1e-5])
def test_a_rotation_is_that_of_the_unit_quaternion_nearest_to_the_stored_one(tmp_path, excess):
    turn = np.eye(4)
    turn[:3, :3] = 6 * Rotation.from_euler("zx", [180, 12], degrees=True).as_matrix()
    image = nibabel.Nifti1Image(ARRAY, None)
    image.set_qform(turn, 1)
    stored = [float(image.header[f"quatern_{axis}"]) for axis in "bcd"]
    stored = np.float32(np.array(stored) * np.sqrt((1 + excess) / (np.array(stored) @ stored)))
    path = save(tmp_path / "scan.nii", image, (256, "<3f", *stored))
    scalar = np.sqrt(max(0, 1 - float(stored.astype(float) @ stored)))
    expected = 6 * Rotation.from_quat([*stored, scalar]).as_matrix()
    # nibabel takes a square of the scalar part below 4e-7 for 0: a turn of a twentieth of a degree.
    np.testing.assert_allclose(read_volume(path).affine[:3, :3], expected, atol=6 * np.radians(0.08))
    if excess > 0:
        np.testing.assert_allclose(read_volume(path).affine, turn, atol=1e-5)
