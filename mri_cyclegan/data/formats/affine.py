"""Checks of a scan's affine, common to all formats."""

from pathlib import Path

import numpy as np

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.volume import ReadOptions


def require_invertible(path: Path, affine: np.ndarray) -> None:
    """Raise unless the affine maps each voxel to a distinct position.

    Raises:
        UnfitFile: the affine is singular, nearly singular, or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        is_straight = abs(np.linalg.det(affine[:3, :3])) > 1e-3 * np.prod(lengths)
        if np.isfinite(affine).all() and lengths.min() > 1e-6 and is_straight:
            return
    problem = "the affine is singular or not finite, so voxel positions are unknown"
    raise UnfitFile(path, problem, "Convert it again.")


def assumed_affine(
    path: Path, missing_orientation_reason: str, spacing: np.ndarray, shape: tuple[int, ...], options: ReadOptions
) -> tuple[np.ndarray, Finding]:
    """Build the affine of a file without orientation from ``assume_orientation``, and a warning that says so.

    Args:
        path: the file.
        missing_orientation_reason: why its orientation is unknown, as a clause for messages.
        spacing: voxel sizes along the array's axes, in mm.
        shape: shape of the volume; its center becomes the origin.
        options: ``assume_orientation`` holds the axis codes.

    Raises:
        UnfitFile: ``assume_orientation`` is not set.
    """
    codes = options.assume_orientation
    if not codes:
        remedy = "Convert the scan again from its source, or set data.assume_orientation, for example to RAS."
        raise UnfitFile(path, f"{missing_orientation_reason}, so left and right are unknown", remedy)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, code in enumerate(codes):
        row = next(index for index, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[row, axis] = spacing[axis] * (1 if code in "RAS" else -1)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    remedy = "Compare a picture of it with one whose sides you know."
    return affine, Finding("warning", path, f"{missing_orientation_reason}; {codes} is assumed", remedy)


def affine_warnings(path: Path, affine: np.ndarray) -> list[Finding]:
    """Warn about sheared voxels and implausible voxel sizes."""
    warnings = []
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() < 0.05 or lengths.max() > 20:
        warnings.append(
            (f"voxels of {format_spacing(lengths)} mm are no plausible head scan", "Check the units in its header.")
        )
    axes = affine[:3, :3] / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-2:
        warnings.append(("the affine is sheared; slices keep the shear", "Resample it onto a straight grid."))
    return [Finding("warning", path, problem, remedy) for problem, remedy in warnings]


def format_spacing(sizes: np.ndarray) -> str:
    """Format lengths along the axes as ``1 × 1 × 3``."""
    return " × ".join(f"{size:.3g}" for size in sizes)
