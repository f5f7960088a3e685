"""The foreground of protocol version 2 against that of version 1, on real scans without faults."""

from pathlib import Path

import numpy as np
import pytest
from scan_faults import DOUBTFUL, HARMLESS
from scipy import ndimage
from skimage.filters import threshold_otsu

from mri_cyclegan.data.foreground import find_foreground
from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.phantom import Phantom
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.evaluation.metrics.paired import measure_paired

pytestmark = pytest.mark.realdata

METRICS = ("psnr", "ssim", "ms_ssim", "mae", "nmse", "nmi")
LIMITS = dict.fromkeys(METRICS, 0.002) | {"psnr": 0.02}


def version_1(array: np.ndarray) -> np.ndarray:
    """The foreground as version 1 of the protocol had it."""
    image = np.squeeze(np.asarray(array, dtype=np.float32))
    smooth = ndimage.gaussian_filter(image, sigma=1)
    above = smooth > (smooth.min() + threshold_otsu(smooth)) / 2
    labels, _ = ndimage.label(above)
    above = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_fill_holes(above).reshape(array.shape)


def metrics(array: np.ndarray, mask: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(array[mask], (0.5, 99.5))
    target = ((array - low) / (high - low)).clip(0, 1).astype(np.float32)
    slices, mask, prediction = (np.moveaxis(image, 2, 0) for image in (target, mask, prediction))
    return measure_paired({"one": prediction}, slices, {"foreground": mask})["one"]["foreground"]


def prediction_of(array: np.ndarray) -> np.ndarray:
    """An imperfect prediction of a target: blurred, too dark, and noisy."""
    mask = version_1(array)
    low, high = np.percentile(array[mask], (0.5, 99.5))
    scaled = ((array - low) / (high - low)).clip(0, 1)
    noise = np.random.default_rng(0).normal(0.02, 0.02, array.shape)
    blurred = ndimage.gaussian_filter(scaled, [1 if size > 1 else 0 for size in array.shape])
    return (0.93 * blurred + noise).clip(0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def clean_scans(real_data, tmp_path_factory) -> dict[str, list[Path]]:
    phantom = Phantom(2, 0, 1, 2.0, 1.0, 0.02, 0.3, seed=0).write(tmp_path_factory.mktemp("phantom"))
    return {
        "ixi64": sorted(real_data.glob("ixi64/sub-*/anat/*.nii.gz")),
        "open_ms/sub-07": sorted(real_data.glob("open_ms/sub-07/anat/*.nii.gz")),
        "phantom": sorted(phantom.glob("sub-*/anat/*w.nii.gz")),
    }


def differences(array: np.ndarray) -> list[float]:
    """Of each metric; 0 at once where mask and intensities are the same."""
    mask, found = version_1(array), find_foreground(array)
    assert found.warnings == ()
    if np.array_equal(array, found.array) and np.array_equal(mask, found.mask):
        return [0.0] * len(METRICS)
    prediction = prediction_of(array)
    was, is_now = metrics(array, mask, prediction), metrics(found.array, found.mask, prediction)
    return [abs(is_now[name] - was[name]) for name in METRICS]


def test_every_metric_of_clean_scans_is_that_of_version_1(clean_scans):
    titles = "".join(f"{name:>10}" for name in METRICS)
    print(f"\nlargest difference of version 2 from version 1\n{'':16}{'scans':>6}{titles}")
    for name, paths in clean_scans.items():
        assert paths, name
        largest = np.max([differences(read_volume(path).array) for path in paths], axis=0)
        print(f"{name:16}{len(paths):6}" + "".join(f"{value:10.5f}" for value in largest))
        assert all(value <= LIMITS[metric] for metric, value in zip(METRICS, largest, strict=True)), name


@pytest.mark.slow
@pytest.mark.parametrize("contrast", ["T1w", "T2w"])
@pytest.mark.parametrize("name", [*HARMLESS, *DOUBTFUL])
def test_faults_in_a_real_scan_move_nothing_or_are_told(real_data, contrast, name):
    volume = read_volume(real_data / f"open_ms/sub-07/anat/sub-07_space-MNI_{contrast}.nii.gz")
    expected, prediction = scale_intensities(volume), prediction_of(volume.array)
    faulty = (HARMLESS | DOUBTFUL)[name](volume.array, expected.foreground)
    found = find_foreground(faulty.array)
    if name in DOUBTFUL and found.warnings:
        return
    inner = tuple(slice(faulty.width, faulty.width + size) for size in volume.array.shape)
    mask = found.mask[inner]
    assert mask.sum() == found.mask.sum()
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        sides = [np.flatnonzero(one.any(others))[[0, -1]] for one in (mask, expected.foreground)]
        assert np.abs(sides[0] - sides[1]).max() <= 5  # voxels of 1 mm
    low, high = (np.percentile(found.array[found.mask], (0.5, 99.5)) - faulty.offset) / faulty.gain
    deviation = max(abs(low - expected.low), abs(high - expected.high)) / (expected.high - expected.low)
    assert deviation <= 0.02
    target = ((found.array[inner] - faulty.offset) / faulty.gain - low).clip(0, high - low) / (high - low)
    errors = [
        np.mean((one[where] - prediction[where]) ** 2)
        for one, where in ((target, mask), (expected.array, expected.foreground))
    ]
    assert abs(10 * np.log10(errors[0] / errors[1])) <= 0.1
