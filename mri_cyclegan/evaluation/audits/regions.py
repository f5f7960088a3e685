"""Boxes around voxels of a mask, and the voxels around them."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]


def box_around(mask: np.ndarray, margin_mm: float, spacing_mm: Sequence[float]) -> Box:
    """Smallest box that holds a mask and a margin, as far as the array goes.

    Args:
        mask: (N, H, W) bool, not empty.
        margin_mm: on every side, in millimetres.
        spacing_mm: distance of neighbouring slices, rows and columns.
    """
    return padded(ndimage.find_objects(mask.view(np.uint8))[0], margin_mm, spacing_mm)


def padded(box: Box, margin_mm: float, spacing_mm: Sequence[float]) -> Box:
    """A box with a margin on every side; it ends at the array's first voxel, and may point beyond its last."""
    margins = (math.ceil(margin_mm / spacing) for spacing in spacing_mm)
    return tuple(slice(max(0, s.start - margin), s.stop + margin) for s, margin in zip(box, margins, strict=True))


def grown(mask: np.ndarray, distance_mm: float, spacing_mm: Sequence[float]) -> np.ndarray:
    """A mask with all voxels whose centre is at most a distance from a centre of the mask.

    Args:
        mask: (N, H, W) bool; may be empty.
        distance_mm: in millimetres.
        spacing_mm: distance of neighbouring slices, rows and columns.

    Returns:
        (N, H, W) bool.
    """
    result = np.zeros_like(mask)
    if mask.any():
        # A distance map of the whole volume would take seconds.
        box = box_around(mask, distance_mm, spacing_mm)
        result[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing_mm) <= distance_mm
    return result
