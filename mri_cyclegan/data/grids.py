"""Voxel grids: comparing two of them, and resampling images from one to another."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nibabel import orientations
from scipy import ndimage

# Two grids are the same if their voxels lie at most this share of a voxel apart: headers are rounded.
SAME_GRID_VOXELS = 0.01


class Grid(NamedTuple):
    """Positions of the voxels of an image.

    Attributes:
        shape: (X, Y, Z).
        affine: (4, 4), voxel indices to RAS+ millimeters.
    """

    shape: Sequence[int]
    affine: np.ndarray


def grid_difference(first: tuple[Sequence[int], np.ndarray], second: tuple[Sequence[int], np.ndarray]) -> str:
    """Describe how two grids, each a shape and an affine, differ; empty if their voxels lie in the same places.

    The storage order does not count: axes may be permuted and flipped.

    Example:
        >>> flipped = np.array([[-1.0, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        >>> grid_difference(((4, 5, 6), np.eye(4)), ((4, 5, 6), flipped))
        ''
        >>> grid_difference(((4, 5, 6), np.eye(4)), ((4, 5, 6), np.diag([2, 2, 2, 1]) @ flipped))
        'its voxels lie up to 7.07 mm aside'
    """
    (shape, affine), (other_shape, other_affine) = first, second
    change = relative_orientation(first, second)
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


def relative_orientation(
    first: tuple[Sequence[int], np.ndarray], second: tuple[Sequence[int], np.ndarray]
) -> np.ndarray:
    """Axis permutation and flips (nibabel orientation) that bring the second grid closest to the order of the first."""
    return orientations.io_orientation(np.linalg.inv(first[1]) @ second[1])


def resampled(array: np.ndarray, affine: np.ndarray, grid: Grid, order: int) -> np.ndarray:
    """Resample an image onto another grid; on the same grid, voxels are only reordered.

    For a coarser grid, intensities are first blurred to its resolution (full width at half maximum) to avoid aliasing,
    as in slice preprocessing.

    Args:
        array: (X, Y, Z) floats.
        affine: affine of the array.
        grid: the target grid.
        order: 0 for labels (nearest), 1 for intensities (linear).

    Returns:
        Array of the grid's shape, 0 outside the image's field of view.
    """
    own = Grid(array.shape, affine)
    if not grid_difference(grid, own):
        return orientations.apply_orientation(array, relative_orientation(grid, own))
    matrix = _index_transform(own, grid)
    if order:
        steps = np.linalg.norm(matrix[:3, :3], axis=1)  # width of a target voxel in voxels of the array
        sigma = [math.sqrt(step * step - 1) / 2.355 if step > 1.01 else 0.0 for step in steps]
        array = ndimage.gaussian_filter(array, sigma, mode="nearest") if any(sigma) else array
    moved = _transformed(array, matrix, grid, order, "nearest")
    moved[~inside_field_of_view(own, grid)] = 0
    return moved


def inside_field_of_view(own: Grid, grid: Grid) -> np.ndarray:
    """Voxels of ``grid`` whose centers lie within a voxel of ``own``, bool."""
    return (
        _transformed(np.ones(tuple(own.shape), np.float32), _index_transform(own, grid), grid, 0, "grid-constant") > 0.5
    )


def _index_transform(own: Grid, grid: Grid) -> np.ndarray:
    """Matrix that maps voxel indices of ``grid`` to voxel indices of ``own``, (4, 4)."""
    return np.round(np.linalg.inv(own.affine) @ grid.affine, 8)


def _transformed(array: np.ndarray, matrix: np.ndarray, grid: Grid, order: int, mode: str) -> np.ndarray:
    return ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], output_shape=tuple(grid.shape), order=order, mode=mode
    )
