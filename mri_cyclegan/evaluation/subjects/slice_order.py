"""A volume as slices of a plane, in the order in which the models see them."""

import nibabel
import numpy as np
from nibabel import orientations

from mri_cyclegan.data.transforms import PLANES


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
