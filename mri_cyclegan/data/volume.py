"""A 3-D image in memory, and options for reading ambiguous files."""

from dataclasses import dataclass

import nibabel
import numpy as np

from mri_cyclegan.data.findings import Finding

# 512 × 512 × 512, which is 512 MiB as float32. No scan of a head has more.
MAX_VOXELS = 2**27


@dataclass(frozen=True)
class Volume:
    """A 3-D image and its affine.

    Attributes:
        array: (X, Y, Z) float32, in the file's own intensity units.
        affine: (4, 4) float64, voxel indices to RAS+ millimeters.
        warnings: warnings about the source file.
    """

    array: np.ndarray
    affine: np.ndarray
    warnings: tuple[Finding, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance between neighboring voxels along each array axis, in mm."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))


@dataclass(frozen=True)
class ReadOptions:
    """How to read incomplete, ambiguous or unusual files.

    Attributes:
        volume_index: which 3-D volume to take from a 4-D file, or from a DICOM series of several images, such as
            echoes; None refuses such files.
        nonfinite: ``"raise"`` refuses a file with NaN or infinite voxels, ``"zero"`` sets them to 0 and warns.
        assume_orientation: axis codes, such as ``"RAS"``, for files that do not state their orientation; None
            refuses them.
        series_uids: DICOM SeriesInstanceUIDs to use from folders that hold several series.
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
    """Voxel size along the world axes (left-right, posterior-anterior, inferior-superior), whatever the axis order.

    Args:
        affine: (4, 4), voxel indices to RAS+ millimeters.

    Returns:
        Sizes, (3,), in mm.

    Example:
        >>> voxel_sizes_mm(np.array([[0, 0, 2, 0], [-1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]])).tolist()
        [2.0, 1.0, 3.0]
    """
    axes = nibabel.io_orientation(affine)[:, 0].argsort()
    return nibabel.affines.voxel_sizes(affine)[axes]
