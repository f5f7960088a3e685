"""Slices are translated one by one: does their brightness jump from one to the next?"""

import numpy as np

# Slices with less of the head than this share of the fullest one do not count: their means are noise.
MIN_SHARE = 0.2

# A jump of this share of the scale is seen by anyone; and so much more than the scan's own is the network's.
VISIBLE, RATIO = 0.02, 2.0


def slice_flicker(volume: np.ndarray, foreground: np.ndarray, axis: int) -> float | None:
    """How far the brightness of a slice lies from the mean of its neighbours', on average over the slices.

    Args:
        volume: (X, Y, Z), in [0, 1].
        foreground: (X, Y, Z) bool, of the head.
        axis: along which slices lie on each other.

    Returns:
        In [0, 1]; None where no three slices that show the head lie on each other.
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


def flickers(output: float | None, source: float | None) -> bool:
    """Whether an output flickers visibly, and more than its source does."""
    return output is not None and source is not None and output > max(VISIBLE, RATIO * source)
