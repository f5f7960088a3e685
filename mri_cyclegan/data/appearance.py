"""Summary statistics of scans, and whether a scan resembles those that a model was trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import nibabel
import numpy as np

from mri_cyclegan.data.histograms import histogram, mean_histogram, wasserstein
from mri_cyclegan.data.intensities import ScaledVolume

# How far outside the training scans' range a statistic may lie, as a share of that range: a few dozen training scans do
# not span the whole range of their population.
MARGIN = 0.5

# A range counts as at least this share of its midpoint: else nearly identical training scans would flag all others.
SMALLEST_RANGE = 0.2

# A scan's histogram may be this many times as far from the training histogram as that of the farthest training scan,
# and SMALLEST_DISTANCE in any case.
MAX_DISTANCE_RATIO = 2.0
SMALLEST_DISTANCE = 0.02

_CLAUSES = {
    "foreground_ml": "head of {value:.0f} ml (training {low:.0f} to {high:.0f})",
    "mean": "mean intensity {value:.2f} (training {low:.2f} to {high:.2f})",
    "sd": "spread of intensities {value:.2f} (training {low:.2f} to {high:.2f})",
    "roughness": "neighboring voxels differ by {value:.3f} (training {low:.3f} to {high:.3f})",
}

# The scalar statistics of a scan; it also has a histogram.
NUMBERS = tuple(_CLAUSES)


def appearance(scaled: ScaledVolume) -> dict[str, Any]:
    """Summarize the foreground of one scan.

    Returns:
        ``histogram``: see :func:`mri_cyclegan.data.histograms.histogram`; ``foreground_ml``; ``mean`` and ``sd`` of
        intensities in [0, 1]; ``roughness``: mean absolute difference of neighboring voxels.
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
        both = np.logical_and(*_neighbors(foreground, axis))
        first, second = _neighbors(array, axis)
        total += float(np.abs(first[both] - second[both]).sum(dtype=np.float64))
        count += int(both.sum())
    return total / max(1, count)


def _neighbors(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    moved = np.moveaxis(array, axis, 0)
    return moved[:-1], moved[1:]


def training_appearance(scans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarize the training scans of one contrast.

    Args:
        scans: the result of :func:`appearance` for each scan.

    Returns:
        ``num_scans``; ``histogram``: mean histogram; ``histogram_distance``: largest distance of a scan's histogram
        from the mean of the others; ``ranges``: smallest and largest value of each scalar statistic.
    """
    histograms = [np.array(scan["histogram"]) for scan in scans]
    mean = mean_histogram(histograms)
    # The distance of a scan from the mean of the others is its distance from the mean of all, times this factor.
    without_itself = len(scans) / max(1, len(scans) - 1)
    return {
        "num_scans": len(scans),
        "histogram": np.round(mean, 7).tolist(),
        "histogram_distance": without_itself * max(wasserstein(one, mean) for one in histograms),
        "ranges": {name: [min(scan[name] for scan in scans), max(scan[name] for scan in scans)] for name in NUMBERS},
    }


def unlike_training(scan: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    """List how a scan differs from all training scans of its contrast; empty if it might be one of them.

    Args:
        scan: result of :func:`appearance`.
        training: result of :func:`training_appearance`.

    Returns:
        One clause per difference, with the numbers.
    """
    found = []
    distance = wasserstein(np.array(scan["histogram"]), np.array(training["histogram"]))
    if distance > max(SMALLEST_DISTANCE, MAX_DISTANCE_RATIO * training["histogram_distance"]):
        found.append(
            f"intensities differ by {distance:.3f} from those trained on (training scans among themselves up to "
            f"{training['histogram_distance']:.3f})"
        )
    for name, words in _CLAUSES.items():
        low, high = training["ranges"][name]
        margin = MARGIN * max(high - low, SMALLEST_RANGE * (low + high) / 2)
        if not low - margin <= scan[name] <= high + margin:
            found.append(words.format(value=scan[name], low=low, high=high))
    return found
