"""Some of many, evenly chosen."""

import numpy as np


def evenly_spaced(length: int, most: int) -> np.ndarray:
    """Rising positions from the first to the last of ``length``, all of them or ``most``.

    >>> evenly_spaced(10, 4).tolist()
    [0, 3, 6, 9]
    >>> evenly_spaced(3, 4).tolist()
    [0, 1, 2]
    """
    return np.linspace(0, length - 1, min(most, length)).round().astype(int)
