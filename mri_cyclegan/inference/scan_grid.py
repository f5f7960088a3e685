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
    matrix = np.round(np.linalg.inv(record["affine"]) @ np.array(record["source_affine"]), DECIMALS)
    return ndimage.affine_transform(
        np.asarray(slices, dtype=np.float32),
        matrix[:3, :3],
        matrix[:3, 3],
        output_shape=tuple(record["source_shape"]),
        order=1,
        mode="grid-constant",
        cval=background,
    )
