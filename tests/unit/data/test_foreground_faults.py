"""The head, its scale and a prediction's PSNR under faults of the kind that files have."""

import numpy as np
import pytest
from scan_faults import DOUBTFUL, HARMLESS, Faulty
from scipy import ndimage

from mri_cyclegan.data.foreground import find_foreground
from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.volume import Volume

SPACING_MM = 2.0
SHAPE = (56, 64, 50)


def made_head(is_masked: bool) -> np.ndarray:
    """Skin, skull, brain and ventricles in noise of Rician kind; masked: the brain alone in zeros."""
    random = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    radius = np.sqrt((x / 0.72) ** 2 + (y / 0.8) ** 2 + (z / 0.78) ** 2)
    texture = ndimage.gaussian_filter(random.normal(0, 1, SHAPE), 2)
    brain = 550 + 180 * np.sign(texture) + 60 * x
    signal = np.select([radius < 0.25, radius < 0.8, radius < 0.9, radius < 1], [180.0, brain, 150.0, 900.0], 0.0)
    if is_masked:
        edge = ndimage.gaussian_filter(np.where(radius < 0.8, signal, 0.0), 0.8)
        return np.where(edge > 15, edge + random.normal(0, 5, SHAPE), 0).astype(np.float32)
    real, imaginary = random.normal(0, 12, (2, *SHAPE))
    return np.hypot(ndimage.gaussian_filter(signal, 0.7) + real, imaginary).astype(np.float32)


@pytest.fixture(scope="module", params=["head in noise", "masked brain"])
def clean(request):
    array = made_head(request.param == "masked brain")
    scaled = scale_intensities(Volume(array, np.diag([SPACING_MM] * 3 + [1])))
    blurred = ndimage.gaussian_filter(scaled.array, 1)
    prediction = blurred * 0.93 + np.random.default_rng(2).normal(0.02, 0.02, SHAPE)
    assert scaled.warnings == ()
    return array, scaled, prediction.clip(0, 1)


def box_mm(mask: np.ndarray, width: int) -> np.ndarray:
    sides = [np.flatnonzero(mask.any(axis=tuple(o for o in range(3) if o != axis))) - width for axis in range(3)]
    return SPACING_MM * np.array([(side[0], side[-1]) for side in sides])


def psnr(truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray) -> float:
    return float(10 * np.log10(1 / np.mean((truth[mask] - prediction[mask]) ** 2)))


def deviations(clean, faulty: Faulty) -> tuple[float, float, float]:
    """Of the box in mm, of the scale as a share of its range, and of the prediction's PSNR in dB."""
    _, expected, prediction = clean
    found = scale_intensities(Volume(faulty.array, expected.affine))
    ends = (np.array([found.low, found.high]) - faulty.offset) / faulty.gain
    scale = np.abs(ends - (expected.low, expected.high)).max() / (expected.high - expected.low)
    inner = tuple(slice(faulty.width, faulty.width + size) for size in SHAPE)
    left = np.ones(SHAPE, bool) if faulty.lost is None else ~faulty.lost
    was = psnr(expected.array, prediction, expected.foreground & left)
    is_now = psnr(found.array[inner], prediction, found.foreground[inner] & left)
    boxes = box_mm(found.foreground, faulty.width), box_mm(expected.foreground & left, 0)
    assert not found.foreground.sum() > found.foreground[inner].sum(), "no head in the padding"
    return float(np.abs(boxes[0] - boxes[1]).max()), float(scale), abs(is_now - was)


@pytest.mark.parametrize("name", HARMLESS)
def test_faults_around_the_head_move_nothing(clean, name):
    box, scale, decibel = deviations(clean, HARMLESS[name](clean[0], clean[1].foreground))
    assert box <= 5
    assert scale <= 0.02
    assert decibel <= 0.1


@pytest.mark.parametrize("name", DOUBTFUL)
def test_faults_of_the_head_itself_are_told_or_move_nothing(clean, name):
    faulty = DOUBTFUL[name](clean[0], clean[1].foreground)
    if not find_foreground(faulty.array).warnings:
        box, scale, decibel = deviations(clean, faulty)
        assert box <= 5
        assert scale <= 0.02
        assert decibel <= 0.1


def words_of(array: np.ndarray) -> str:
    return " ".join(f"{warning.problem} {warning.remedy}" for warning in find_foreground(array).warnings)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bright voxels", "17 voxels lie far beyond all others"),
        ("one huge voxel", "1 voxel lies far beyond all others"),
        ("padding with -1024", "taken for padding"),
        ("bright padding", "taken for padding"),
        ("z-scored, 10 outside", "its background, 10, is brighter than the head"),
    ],
)
def test_what_was_left_out_is_told(name, words):
    array = made_head(is_masked=True)
    assert words in words_of(HARMLESS[name](array, array > 0).array)


@pytest.mark.parametrize(
    ("name", "words"),
    [("a faint ghost", "of its air is not empty"), ("wrapped around", "may be wrapped around")],
)
def test_what_the_head_cannot_be_told_from_is_told(name, words):
    array = made_head(is_masked=False)
    assert words in words_of(DOUBTFUL[name](array, find_foreground(array).mask).array)


def test_a_field_of_view_within_the_head_has_no_background_and_it_is_told():
    array = made_head(is_masked=False)[18:38, 20:44, 16:34]
    assert "no value or narrow range of values is common at its border" in words_of(array)


def test_a_background_that_was_not_dark_becomes_dark():
    array = made_head(is_masked=True)
    z_scored = HARMLESS["z-scored, 0 outside"](array, array > 0).array
    scaled = scale_intensities(Volume(z_scored, np.eye(4)))
    assert not scaled.array[z_scored == 0].any()
    assert scaled.warnings == ()  # one value at the border leaves no doubt
