"""Evenly spaced indices."""

import numpy as np


def evenly_spaced(length: int, most: int) -> np.ndarray:
    """At most ``most`` evenly spaced, increasing indices from 0 to ``length`` - 1, both included.

    >>> evenly_spaced(10, 4).tolist()
    [0, 3, 6, 9]
    >>> evenly_spaced(3, 4).tolist()
    [0, 1, 2]
    """
    return np.linspace(0, length - 1, min(most, length)).round().astype(int)
