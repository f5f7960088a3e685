"""Images from one grid onto another, by where their voxels lie in space."""

from collections.abc import Sequence
from typing import NamedTuple

import nibabel
import numpy as np
from nibabel import orientations
from scipy import ndimage

from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.transforms import PLANES


class Grid(NamedTuple):
    """Where voxels lie.

    Attributes:
        shape: (X, Y, Z).
        affine: (4, 4), voxel indices to RAS+ millimetres.
    """

    shape: Sequence[int]
    affine: np.ndarray


def resampled(array: np.ndarray, affine: np.ndarray, grid: Grid, order: int) -> np.ndarray:
    """An image on another grid; itself where the grids are equal, 0 where it does not reach.

    Args:
        array: (X, Y, Z) floats.
        affine: of the array.
        grid: the wanted one.
        order: 0 for labels (nearest), 1 for intensities (linear).

    Returns:
        Array of the grid's shape.
    """
    matrix = np.linalg.inv(affine) @ grid.affine
    if array.shape == tuple(grid.shape) and np.allclose(matrix, np.eye(4), atol=1e-3):
        return array
    matrix = np.round(matrix, 8)
    return ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], output_shape=tuple(grid.shape), order=order, mode="grid-constant"
    )


def on_grid(volume: ScaledVolume, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Intensities and foreground of a volume on another grid."""
    foreground = resampled(volume.foreground.astype(np.float32), volume.affine, grid, order=0) > 0.5
    return resampled(volume.array, volume.affine, grid, order=1), foreground


def covered(shape: Sequence[int], affine: np.ndarray, grid: Grid) -> np.ndarray:
    """Where on a grid an image of this shape and affine reaches, bool."""
    return resampled(np.ones(tuple(shape), np.float32), affine, grid, order=0) > 0.5


def in_plane_order(array: np.ndarray, affine: np.ndarray, plane: str) -> np.ndarray:
    """The same voxels as slices, (X, Y, Z) to (N, H, W), upright and in the order of the model's slices.

    Args:
        array: (X, Y, Z).
        affine: of the array.
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
    """
    return orientations.apply_orientation(array, _change(affine, plane))


def slice_spacing_mm(affine: np.ndarray, plane: str) -> tuple[float, float, float]:
    """Distance of neighbouring slices, rows and columns of what :func:`in_plane_order` gives."""
    sizes = nibabel.affines.voxel_sizes(affine)
    spacing = np.empty(3)
    spacing[_change(affine, plane)[:, 0].astype(int)] = sizes
    return float(spacing[0]), float(spacing[1]), float(spacing[2])


def _change(affine: np.ndarray, plane: str) -> np.ndarray:
    wanted = orientations.axcodes2ornt(tuple(PLANES[plane]))
    return orientations.ornt_transform(orientations.io_orientation(affine), wanted)
