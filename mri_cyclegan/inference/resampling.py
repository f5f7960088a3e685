"""From a model's slices back to the voxels of the scan they came from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

# Voxel coordinates this close to a grid point are meant to lie on it: the rest is rounding of the affines.
DECIMALS = 8


def to_scan_grid(slices: np.ndarray, record: Mapping[str, Any]) -> np.ndarray:
    """Resample slices to the grid of the volume they were made of; inverse of the resampling of preprocessing.

    Linear, so that no value leaves the range of the slices; exact where a voxel of the scan is a pixel of a slice. The
    slices show the whole field of view, so a voxel lies beyond their outermost pixels by rounding alone: by less than a
    pixel, and has the value of these.

    Args:
        slices: (N, H, W), in the order of :class:`mri_cyclegan.data.transforms.PreparedVolume`.
        record: of the prepared volume: ``affine`` of the slices, ``source_affine`` and ``source_shape`` of the volume.

    Returns:
        (X, Y, Z) float32.
    """
    slices = np.asarray(slices, dtype=np.float32)
    matrix = np.round(np.linalg.inv(record["affine"]) @ np.array(record["source_affine"]), DECIMALS)
    shape = tuple(record["source_shape"])
    if np.count_nonzero(matrix[:3, :3]) == 3:
        return _axis_by_axis(slices, matrix, shape)
    # Sheared: an axis of the scan lies along none of the slices.
    return ndimage.affine_transform(slices, matrix[:3, :3], matrix[:3, 3], shape, order=1, mode="nearest")


def _axis_by_axis(slices: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Each axis of the scan lies along one of the slices: several times as fast, and the same."""
    axes = np.abs(matrix[:3, :3]).argmax(axis=0)  # of the slices, for each of the scan
    volume = slices.transpose(axes)
    for axis, size in enumerate(shape):
        coordinates = matrix[axes[axis], axis] * np.arange(size) + matrix[axes[axis], 3]
        volume = _interpolated(volume, axis, coordinates)
    return np.ascontiguousarray(volume)


def _interpolated(volume: np.ndarray, axis: int, coordinates: np.ndarray) -> np.ndarray:
    """Linear along one axis, from the voxels around each coordinate; beyond either end, the voxel there."""
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
