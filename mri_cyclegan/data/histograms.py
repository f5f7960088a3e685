"""Intensity histograms, and the distance between two of them."""

from collections.abc import Sequence

import numpy as np

NUM_BINS = 256


def histogram(values: np.ndarray) -> np.ndarray:
    """Share of intensities in each of 256 equal bins of [0, 1].

    Args:
        values: any shape, at least one finite value; values outside [0, 1] count in the first or last bin.

    Returns:
        (256,) float64, sum 1.
    """
    assert values.size > 0
    # The last bin includes 1.
    bins = (values.ravel() * NUM_BINS).clip(0, NUM_BINS - 1).astype(np.intp)
    return np.bincount(bins, minlength=NUM_BINS) / values.size


def wasserstein(p: np.ndarray, q: np.ndarray) -> float:
    """1-Wasserstein distance of two histograms: the smallest mean shift of intensity that turns one into the other.

    Args:
        p: (256,), shares, sum 1.
        q: (256,), shares, sum 1.

    Returns:
        Distance in units of intensity, in [0, 1).

    Reference:
        Vallender, "Calculation of the Wasserstein distance between probability distributions on the line", 1974.
    """
    return float(np.abs(np.cumsum(p - q)).mean())


def mean_histogram(histograms: Sequence[np.ndarray]) -> np.ndarray:
    """Mean histogram of several subjects, each with the same weight, (256,)."""
    return np.mean(histograms, axis=0)
