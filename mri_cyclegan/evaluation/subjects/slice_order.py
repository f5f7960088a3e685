"""Reorders a volume into slices of a plane, in the order the models use."""

import nibabel
import numpy as np
from nibabel import orientations

from mri_cyclegan.data.transforms import PLANES


def in_plane_order(array: np.ndarray, affine: np.ndarray, plane: str) -> np.ndarray:
    """Permute and flip the axes of a volume into upright slices in the model's order, without interpolation.

    Args:
        array: (X, Y, Z).
        affine: affine of the array.
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.

    Returns:
        (N, H, W), the same voxels.
    """
    return orientations.apply_orientation(array, _change(affine, plane))


def slice_spacing_mm(affine: np.ndarray, plane: str) -> tuple[float, float, float]:
    """Spacing of slices, rows and columns of the array that :func:`in_plane_order` returns."""
    sizes = nibabel.affines.voxel_sizes(affine)
    spacing = np.empty(3)
    spacing[_change(affine, plane)[:, 0].astype(int)] = sizes
    return float(spacing[0]), float(spacing[1]), float(spacing[2])


def _change(affine: np.ndarray, plane: str) -> np.ndarray:
    wanted = orientations.axcodes2ornt(tuple(PLANES[plane]))
    return orientations.ornt_transform(orientations.io_orientation(affine), wanted)
