"""A 3-D image in memory, and how doubtful files are to be read."""

from dataclasses import dataclass

import nibabel
import numpy as np

from mri_cyclegan.data.findings import Finding

# 512 MiB as float32: 512 × 512 × 512. What claims more is no scan of a head.
MAX_VOXELS = 2**27


@dataclass(frozen=True)
class Volume:
    """A 3-D image and its place in space.

    Attributes:
        array: (X, Y, Z) float32, in the file's own intensity units.
        affine: (4, 4) float64, voxel indices to RAS+ millimetres.
        warnings: warnings about the file it was read from.
    """

    array: np.ndarray
    affine: np.ndarray
    warnings: tuple[Finding, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance of neighbouring voxels along each array axis, in mm."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))


@dataclass(frozen=True)
class ReadOptions:
    """What to do where a file alone does not say.

    Attributes:
        volume_index: which 3-D volume to take of a 4-D file, or of a DICOM series of several images, such as echoes;
            None refuses such files.
        nonfinite: ``"raise"`` refuses a file with NaN or infinite voxels, ``"zero"`` sets them to 0 and warns.
        assume_orientation: axis codes, such as ``"RAS"``, of files that do not say how they lie; None
            refuses them.
        series_uids: DICOM SeriesInstanceUIDs to take where a folder holds several series.
    """

    volume_index: int | None = None
    nonfinite: str = "raise"
    assume_orientation: str | None = None
    series_uids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.nonfinite not in ("raise", "zero"):
            raise ValueError(f"data.nonfinite: expected raise or zero, got {self.nonfinite!r}.")
        codes = self.assume_orientation
        if codes is not None and not (
            len(codes) == 3 and all(sum(code in pair for code in codes) == 1 for pair in ("LR", "PA", "IS"))
        ):
            raise ValueError(f"data.assume_orientation: expected axis codes such as RAS or LPS, got {codes!r}.")


def voxel_sizes_mm(affine: np.ndarray) -> np.ndarray:
    """Along the axes of the world, however the array lies: from left to right, from back to front, and upwards.

    Args:
        affine: (4, 4), voxel indices to RAS+ millimetres.

    Returns:
        (3,).

    Example:
        >>> voxel_sizes_mm(np.array([[0, 0, 2, 0], [-1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]])).tolist()
        [2.0, 1.0, 3.0]
    """
    axes = nibabel.io_orientation(affine)[:, 0].argsort()
    return nibabel.affines.voxel_sizes(affine)[axes]
