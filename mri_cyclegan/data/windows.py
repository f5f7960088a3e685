"""The part of a field of view that training sees."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)


def window_on_head(foreground: np.ndarray, size: int) -> tuple[tuple[int, int], float]:
    """Where a square lies that shows the head, the same in all slices of a volume.

    It is centred on the field of view and moves only as far as it must: until it holds the head, or, where the head is
    larger, nothing but the head's box. So scans whose head a centred square holds are seen as they lie.

    Args:
        foreground: (N, H, W) bool; H and W are ``size`` or more.
        size: sides of the square, in pixels.

    Returns:
        Its first row and column, and the share of the foreground outside of it.
    """
    row, column = (_start(np.asarray(foreground.any(axis=others)), size) for others in ((0, 2), (0, 1)))
    kept = int(np.count_nonzero(foreground[:, row : row + size, column : column + size]))
    return (row, column), 1.0 - kept / (int(np.count_nonzero(foreground)) or 1)


def _start(shows_head: np.ndarray, size: int) -> int:
    """First index of the stretch along one axis, (L,) bool."""
    centred = len(shows_head) // 2 - size // 2
    (shown,) = np.nonzero(shows_head)
    if not len(shown):
        return centred
    ends = sorted((int(shown[0]), int(shown[-1]) + 1 - size))
    return min(max(centred, ends[0]), ends[1])


def moved_affine(affine: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Affine of slices without their first rows and columns; negative numbers go the other way.

    Args:
        affine: (4, 4), of (slice, row, column).
        rows: how many.
        columns: how many.
    """
    step = np.eye(4)
    step[1:3, 3] = rows, columns
    return np.asarray(affine) @ step


def warn_about_cropping(lost: Mapping[str, float], image_size: int) -> None:
    """Warn if the training window leaves out more than a hundredth of a head.

    Args:
        lost: path of each training scan to the share of its foreground outside of the window; at least one.
        image_size: sides of the window, in pixels.
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
