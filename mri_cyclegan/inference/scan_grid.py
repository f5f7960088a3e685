"""From a model's slices back to the voxels of the scan they came from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

# Voxel coordinates this close to a grid point are meant to lie on it: the rest is rounding of the affines.
DECIMALS = 8


def to_scan_grid(slices: np.ndarray, record: Mapping[str, Any], background: float = -1.0) -> np.ndarray:
    """Resample slices to the grid of the volume they were made of; inverse of the resampling of preprocessing.

    Linear, so that no value leaves the range of the slices; exact where a voxel of the scan is a pixel of a slice.

    Args:
        slices: (N, H, W), in the order of :class:`mri_cyclegan.data.transforms.PreparedVolume`.
        record: of the prepared volume: ``affine`` of the slices, ``source_affine`` and ``source_shape`` of the volume.
        background: value of voxels beyond the slices.

    Returns:
        (X, Y, Z) float32.
    """
    slices = np.asarray(slices, dtype=np.float32)
    matrix = np.round(np.linalg.inv(record["affine"]) @ np.array(record["source_affine"]), DECIMALS)
    shape = tuple(record["source_shape"])
    if np.count_nonzero(matrix[:3, :3]) == 3:
        return _axis_by_axis(slices, matrix, shape, background)
    return ndimage.affine_transform(  # sheared: an axis of the scan lies along none of the slices
        slices, matrix[:3, :3], matrix[:3, 3], shape, order=1, mode="grid-constant", cval=background
    )


def _axis_by_axis(slices: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...], background: float) -> np.ndarray:
    """Each axis of the scan lies along one of the slices: several times as fast, and the same."""
    axes = np.abs(matrix[:3, :3]).argmax(axis=0)  # of the slices, for each of the scan
    volume = slices.transpose(axes)
    for axis, size in enumerate(shape):
        coordinates = matrix[axes[axis], axis] * np.arange(size) + matrix[axes[axis], 3]
        volume = _interpolated(volume, axis, coordinates, background)
    return np.ascontiguousarray(volume)


def _interpolated(volume: np.ndarray, axis: int, coordinates: np.ndarray, background: float) -> np.ndarray:
    """Linear along one axis, from the voxels around each coordinate; one beyond either end is background."""
    padded = np.pad(volume, [(1, 1) if one == axis else (0, 0) for one in range(3)], constant_values=background)
    coordinates = np.clip(np.round(coordinates, DECIMALS - 2) + 1, 0, padded.shape[axis] - 1)
    below = np.floor(coordinates).astype(int)
    lower = padded.take(below, axis)
    share = (coordinates - below).astype(np.float32)
    if not share.any():
        return lower
    upper = padded.take(np.minimum(below + 1, padded.shape[axis] - 1), axis)
    share = np.expand_dims(share, [one for one in range(3) if one != axis])
    return lower + share * (upper - lower)
