"""What a scan looks like in a few numbers, and whether it looks like those that a model was trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import nibabel
import numpy as np

from mri_cyclegan.data.histograms import histogram, pooled, wasserstein
from mri_cyclegan.data.intensities import ScaledVolume

# How far beyond the training scans' own range a number may lie, as a share of that range. A training set of a few dozen
# scans does not show the whole range of its kind.
MARGIN = 0.5

# A range is taken for at least this share of its middle: nearly equal training scans would make every other one unlike.
SMALLEST_RANGE = 0.2

# A histogram may be this many times as far from the training histogram as the farthest training scan is.
MAX_DISTANCE_RATIO = 2.0
SMALLEST_DISTANCE = 0.02

_WORDS = {
    "foreground_ml": "head of {value:.0f} ml (training {low:.0f} to {high:.0f})",
    "mean": "mean intensity {value:.2f} (training {low:.2f} to {high:.2f})",
    "sd": "spread of intensities {value:.2f} (training {low:.2f} to {high:.2f})",
    "roughness": "neighbouring voxels differ by {value:.3f} (training {low:.3f} to {high:.3f})",
}

# The numbers of a scan beside its histogram.
NUMBERS = tuple(_WORDS)


def appearance(scaled: ScaledVolume) -> dict[str, Any]:
    """Numbers of one scan, over its foreground.

    Returns:
        ``histogram``: see :func:`mri_cyclegan.data.histograms.histogram`; ``foreground_ml``; ``mean`` and ``sd`` of
        intensities in [0, 1]; ``roughness``: mean absolute difference of neighbouring voxels.
    """
    values = scaled.array[scaled.foreground]
    return {
        "histogram": np.round(histogram(values), 7).tolist(),
        "foreground_ml": len(values) * float(nibabel.affines.voxel_sizes(scaled.affine).prod()) / 1000,
        "mean": float(values.mean(dtype=np.float64)),
        "sd": float(values.std(dtype=np.float64)),
        "roughness": _roughness(scaled.array, scaled.foreground),
    }


def _roughness(array: np.ndarray, foreground: np.ndarray) -> float:
    total, count = 0.0, 0
    for axis in range(array.ndim):
        both = np.logical_and(*_neighbours(foreground, axis))
        first, second = _neighbours(array, axis)
        total += float(np.abs(first[both] - second[both]).sum(dtype=np.float64))
        count += int(both.sum())
    return total / max(1, count)


def _neighbours(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    moved = np.moveaxis(array, axis, 0)
    return moved[:-1], moved[1:]


def training_appearance(scans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the training scans of one contrast look like together.

    Args:
        scans: what :func:`appearance` gives of each.

    Returns:
        ``num_scans``; ``histogram``, their mean; ``histogram_distance``, the largest of a scan's own from the mean of
        the others; ``ranges``: smallest and largest of each number.
    """
    histograms = [np.array(scan["histogram"]) for scan in scans]
    mean = pooled(histograms)
    # Moving a scan out of the mean: the distance from the others' mean is larger by this factor.
    without_itself = len(scans) / max(1, len(scans) - 1)
    return {
        "num_scans": len(scans),
        "histogram": np.round(mean, 7).tolist(),
        "histogram_distance": without_itself * max(wasserstein(one, mean) for one in histograms),
        "ranges": {name: [min(scan[name] for scan in scans), max(scan[name] for scan in scans)] for name in NUMBERS},
    }


def unlike_training(scan: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    """In what a scan is unlike every training scan of its contrast; nothing if it might be one of them.

    Args:
        scan: what :func:`appearance` gives.
        training: what :func:`training_appearance` gives.

    Returns:
        A clause each, with the numbers.
    """
    found = []
    distance = wasserstein(np.array(scan["histogram"]), np.array(training["histogram"]))
    if distance > max(SMALLEST_DISTANCE, MAX_DISTANCE_RATIO * training["histogram_distance"]):
        found.append(
            f"intensities differ by {distance:.3f} from those trained on (training scans among themselves up to "
            f"{training['histogram_distance']:.3f})"
        )
    for name, words in _WORDS.items():
        low, high = training["ranges"][name]
        margin = MARGIN * max(high - low, SMALLEST_RANGE * (low + high) / 2)
        if not low - margin <= scan[name] <= high + margin:
            found.append(words.format(value=scan[name], low=low, high=high))
    return found
