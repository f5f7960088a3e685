"""The window of the field of view that training uses."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)


def head_crop(foreground: np.ndarray, size: int) -> tuple[tuple[int, int], float]:
    """Place a square window on the head, at the same position in all slices of a volume.

    The window is centered on the field of view and moves only as far as needed along each axis: until it contains the
    head's bounding box or, if the head is larger, lies inside it. If the centered window holds the head, it stays.

    Args:
        foreground: (N, H, W) bool; H and W are at least ``size``.
        size: side of the square, in pixels.

    Returns:
        First row and column of the window, and the share of the foreground outside it.
    """
    row, column = (_start(np.asarray(foreground.any(axis=others)), size) for others in ((0, 2), (0, 1)))
    kept = int(np.count_nonzero(foreground[:, row : row + size, column : column + size]))
    return (row, column), 1.0 - kept / (int(np.count_nonzero(foreground)) or 1)


def _start(shows_head: np.ndarray, size: int) -> int:
    """First index of the window along one axis, given where that axis shows the head, (L,) bool."""
    centered = len(shows_head) // 2 - size // 2
    (shown,) = np.nonzero(shows_head)
    if not len(shown):
        return centered
    ends = sorted((int(shown[0]), int(shown[-1]) + 1 - size))
    return min(max(centered, ends[0]), ends[1])


def cropped_affine(affine: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Affine of slices after cropping their first rows and columns; negative numbers extend them instead.

    Args:
        affine: (4, 4), from (slice, row, column) indices.
        rows: number of rows.
        columns: number of columns.
    """
    step = np.eye(4)
    step[1:3, 3] = rows, columns
    return np.asarray(affine) @ step


def warn_about_cropping(lost: Mapping[str, float], image_size: int) -> None:
    """Warn if the training window crops more than 1 % of a head.

    Args:
        lost: path of each training scan, at least one, to the share of its foreground outside the window.
        image_size: side of the window, in pixels.
    """
    worst = max(lost, key=lambda path: lost[path])
    if lost[worst] > 0.01:
        log.warning(
            "data.image_size=%d crops up to %.0f %% of the head away (%s). "
            "Raise data.image_size or data.spacing_mm, or set data.spacing_mm=null to fit the field of view.",
            image_size,
            100 * lost[worst],
            Path(worst).name,
        )
