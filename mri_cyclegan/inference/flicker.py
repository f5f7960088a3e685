"""Brightness jumps between adjacent slices, since slices are translated one by one."""

import numpy as np

# Slices with less foreground than this fraction of the fullest slice are ignored: their means are noisy.
MIN_SHARE = 0.2

# A jump of this fraction of the intensity scale is visible; this many times the scan's own comes from the network.
MIN_VISIBLE_JUMP, MIN_RATIO_TO_SOURCE = 0.02, 2.0


def slice_flicker(volume: np.ndarray, foreground: np.ndarray, axis: int) -> float | None:
    """Mean absolute difference between a slice's mean intensity and that of its two neighbors.

    Args:
        volume: (X, Y, Z), in [0, 1].
        foreground: (X, Y, Z) bool, the head.
        axis: axis along which the slices are stacked.

    Returns:
        In [0, 1]; None if no three consecutive slices show enough of the head.
    """
    in_slice = tuple(other for other in range(3) if other != axis)
    counts = np.count_nonzero(foreground, axis=in_slice)
    shown = counts > MIN_SHARE * counts.max()
    middle = shown[1:-1] & shown[:-2] & shown[2:]
    if not middle.any():
        return None
    sums = volume.sum(axis=in_slice, where=foreground, dtype=np.float64)
    means = sums / np.maximum(counts, 1)
    return float(np.abs(means[1:-1] - (means[:-2] + means[2:]) / 2)[middle].mean())


def has_flicker(output: float | None, source: float | None) -> bool:
    """Whether an output flickers visibly, and more than its source does."""
    return output is not None and source is not None and output > max(MIN_VISIBLE_JUMP, MIN_RATIO_TO_SOURCE * source)
