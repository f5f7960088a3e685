"""Where voxels lie, whether two images share that, and images from one grid onto another."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nibabel import orientations
from scipy import ndimage

# Largest distance of two grids' voxels that still are one grid, as a share of a voxel: headers are rounded.
SAME_GRID_VOXELS = 0.01


class Grid(NamedTuple):
    """Where voxels lie.

    Attributes:
        shape: (X, Y, Z).
        affine: (4, 4), voxel indices to RAS+ millimetres.
    """

    shape: Sequence[int]
    affine: np.ndarray


def grid_difference(first: tuple[Sequence[int], np.ndarray], second: tuple[Sequence[int], np.ndarray]) -> str:
    """In words how two grids, each a shape and an affine, differ; empty if their voxels lie in the same places.

    The order in which these are stored does not count: axes may be permuted and flipped.

    Example:
        >>> flipped = np.array([[-1.0, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        >>> grid_difference(((4, 5, 6), np.eye(4)), ((4, 5, 6), flipped))
        ''
        >>> grid_difference(((4, 5, 6), np.eye(4)), ((4, 5, 6), np.diag([2, 2, 2, 1]) @ flipped))
        'its voxels lie up to 7.07 mm aside'
    """
    (shape, affine), (other_shape, other_affine) = first, second
    change = storage_change(first, second)
    stored_alike = tuple(int(other_shape[axis]) for axis in np.argsort(change[:, 0]))
    if tuple(shape) != stored_alike:
        return f"{' × '.join(map(str, stored_alike))} voxels instead of {' × '.join(map(str, shape))}"
    moved = np.asarray(other_affine) @ orientations.inv_ornt_aff(change, tuple(other_shape)) - affine
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, size - 1) for size in shape))])
    moved_mm = corners @ moved[:3].T  # the farthest voxel of all is at a corner
    moved_voxels = np.abs(moved_mm @ np.linalg.inv(np.asarray(affine)[:3, :3]).T).max()
    if moved_voxels <= SAME_GRID_VOXELS:
        return ""
    return f"its voxels lie up to {np.linalg.norm(moved_mm, axis=1).max():.3g} mm aside"


def storage_change(first: tuple[Sequence[int], np.ndarray], second: tuple[Sequence[int], np.ndarray]) -> np.ndarray:
    """Axes and flips, as nibabel has them, that bring an array of the second grid nearest to the order of the first."""
    return orientations.io_orientation(np.linalg.inv(first[1]) @ second[1])


def resampled(array: np.ndarray, affine: np.ndarray, grid: Grid, order: int) -> np.ndarray:
    """An image on another grid: the same voxels where the grids are one, 0 where it does not reach.

    Intensities are blurred to the resolution of a coarser grid first (full width at half maximum), as those of slices
    are, or fine detail would alias.

    Args:
        array: (X, Y, Z) floats.
        affine: of the array.
        grid: the wanted one.
        order: 0 for labels (nearest), 1 for intensities (linear).

    Returns:
        Array of the grid's shape.
    """
    own = Grid(array.shape, affine)
    if not grid_difference(grid, own):
        return orientations.apply_orientation(array, storage_change(grid, own))
    matrix = _indices(own, grid)
    if order:
        steps = np.linalg.norm(matrix[:3, :3], axis=1)  # voxels of the array that one of the grid is wide
        sigma = [math.sqrt(step * step - 1) / 2.355 if step > 1.01 else 0.0 for step in steps]
        array = ndimage.gaussian_filter(array, sigma, mode="nearest") if any(sigma) else array
    moved = _transformed(array, matrix, grid, order, "nearest")
    moved[~covered(own, grid)] = 0
    return moved


def covered(own: Grid, grid: Grid) -> np.ndarray:
    """Voxels of a grid whose centres lie within a voxel of another grid, bool."""
    return _transformed(np.ones(tuple(own.shape), np.float32), _indices(own, grid), grid, 0, "grid-constant") > 0.5


def _indices(own: Grid, grid: Grid) -> np.ndarray:
    """(4, 4), indices of a grid to those of an image's own."""
    return np.round(np.linalg.inv(own.affine) @ grid.affine, 8)


def _transformed(array: np.ndarray, matrix: np.ndarray, grid: Grid, order: int, mode: str) -> np.ndarray:
    return ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], output_shape=tuple(grid.shape), order=order, mode=mode
    )
