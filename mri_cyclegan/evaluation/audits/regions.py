"""Bounding boxes of masks, and dilation by a distance in mm."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]


def bounding_box(mask: np.ndarray, margin_mm: float, spacing_mm: Sequence[float]) -> Box:
    """Bounding box of a mask plus a margin; indexing with it clips it to the array.

    Args:
        mask: (N, H, W) bool, not empty.
        margin_mm: margin on every side, in mm.
        spacing_mm: distance between neighboring slices, rows and columns.
    """
    return expand_box(ndimage.find_objects(mask.view(np.uint8))[0], margin_mm, spacing_mm)


def expand_box(box: Box, margin_mm: float, spacing_mm: Sequence[float]) -> Box:
    """A box plus a margin on every side; it is clipped at the array's first voxel, but may end beyond its last."""
    margins = (math.ceil(margin_mm / spacing) for spacing in spacing_mm)
    return tuple(slice(max(0, s.start - margin), s.stop + margin) for s, margin in zip(box, margins, strict=True))


def dilate(mask: np.ndarray, distance_mm: float, spacing_mm: Sequence[float]) -> np.ndarray:
    """Dilate a mask: add all voxels whose center is within a distance of the center of a mask voxel.

    Args:
        mask: (N, H, W) bool; may be empty.
        distance_mm: distance in mm.
        spacing_mm: distance between neighboring slices, rows and columns.

    Returns:
        (N, H, W) bool.
    """
    result = np.zeros_like(mask)
    if mask.any():
        # Only within the box: a distance map of the whole volume would take seconds.
        box = bounding_box(mask, distance_mm, spacing_mm)
        result[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing_mm) <= distance_mm
    return result
