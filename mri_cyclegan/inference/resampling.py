"""Resample a model's slices back to the voxel grid of the scan."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

# Voxel coordinates are rounded to this many decimals: the affines have rounding errors.
DECIMALS = 8


def to_scan_grid(slices: np.ndarray, record: Mapping[str, Any]) -> np.ndarray:
    """Resample slices to the grid of their source volume: the inverse of the resampling in preprocessing.

    Interpolation is linear, so values stay in the range of the slices, and exact where a voxel coincides with a pixel.
    The slices cover the whole field of view, so a voxel lies outside their outermost pixels only by rounding, by less
    than a pixel; it takes the value of the nearest one.

    Args:
        slices: (N, H, W), as in :class:`mri_cyclegan.data.transforms.PreparedVolume`.
        record: the prepared volume's record: ``affine`` of the slices, ``source_affine`` and ``source_shape``.

    Returns:
        (X, Y, Z) float32.
    """
    slices = np.asarray(slices, dtype=np.float32)
    matrix = np.round(np.linalg.inv(record["affine"]) @ np.array(record["source_affine"]), DECIMALS)
    shape = tuple(record["source_shape"])
    if np.count_nonzero(matrix[:3, :3]) == 3:
        return _resample_per_axis(slices, matrix, shape)
    # Sheared: an axis of the scan is not parallel to any axis of the slices.
    return ndimage.affine_transform(slices, matrix[:3, :3], matrix[:3, 3], shape, order=1, mode="nearest")


def _resample_per_axis(slices: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resample one axis at a time if the axes are parallel: same result, several times as fast."""
    axes = np.abs(matrix[:3, :3]).argmax(axis=0)  # slice-stack axis for each axis of the scan
    volume = slices.transpose(axes)
    for axis, size in enumerate(shape):
        coordinates = matrix[axes[axis], axis] * np.arange(size) + matrix[axes[axis], 3]
        volume = _interpolate_axis(volume, axis, coordinates)
    return np.ascontiguousarray(volume)


def _interpolate_axis(volume: np.ndarray, axis: int, coordinates: np.ndarray) -> np.ndarray:
    """Interpolate linearly along one axis; coordinates beyond either end take the value of the end voxel."""
    last = volume.shape[axis] - 1
    coordinates = np.clip(np.round(coordinates, DECIMALS - 2), 0, last)
    below = np.floor(coordinates).astype(int)
    lower = volume.take(below, axis)
    share = (coordinates - below).astype(np.float32)
    if not share.any():
        return lower
    upper = volume.take(np.minimum(below + 1, last), axis)
    share = np.expand_dims(share, [one for one in range(3) if one != axis])
    return lower + share * (upper - lower)
