"""Intensity histograms, and how far apart two of them are."""

from collections.abc import Sequence

import numpy as np

NUM_BINS = 256


def histogram(values: np.ndarray) -> np.ndarray:
    """Shares of intensities in equal bins of [0, 1].

    Args:
        values: any shape, at least one finite value; what lies outside [0, 1] is counted in the outermost bin.

    Returns:
        (256,) float64, sum 1.
    """
    assert values.size > 0
    # The last bin holds 1 itself, too.
    bins = (values.ravel() * NUM_BINS).clip(0, NUM_BINS - 1).astype(np.intp)
    return np.bincount(bins, minlength=NUM_BINS) / values.size


def wasserstein(p: np.ndarray, q: np.ndarray) -> float:
    """1-Wasserstein distance of two histograms: by how much intensity must be moved to make one the other.

    Args:
        p: (256,), shares, sum 1.
        q: likewise.

    Returns:
        In units of intensity, in [0, 1).

    Reference:
        Vallender, "Calculation of the Wasserstein distance between probability distributions on the line", 1974.
    """
    return float(np.abs(np.cumsum(p - q)).mean())


def pooled(histograms: Sequence[np.ndarray]) -> np.ndarray:
    """One histogram for several subjects, each with the same weight, (256,)."""
    return np.mean(histograms, axis=0)
