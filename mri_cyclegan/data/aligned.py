"""Aligns two scans of the same head that may be stored on different grids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.foreground import dice
from mri_cyclegan.data.grids import Grid, grid_difference, inside_field_of_view, resampled
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.register import Registration, register

# Dice below which two scans count as unaligned: aligned heads of one person overlap almost entirely in any contrast.
MIN_OVERLAP = 0.7

# Share of the head that the field of view of a scan on another grid must cover for the metrics to describe that head.
MIN_COVERED = 0.5


@dataclass(frozen=True)
class Aligned:
    """A scan of contrast b, aligned to one of contrast a.

    Attributes:
        b: the scan, moved if it was registered; still on its own grid.
        difference: description of how the two grids differ; empty if they are the same.
        registration: how the scan was moved; None if it was not.
    """

    b: ScaledVolume
    difference: str
    registration: Registration | None

    def as_json(self) -> dict[str, Any] | None:
        """Plain JSON values: ``difference`` and ``registration``; None if both scans are on the same grid."""
        if not self.difference:
            return None
        registration = None if self.registration is None else self.registration.as_json()
        return {"difference": self.difference, "registration": registration}


def align(a: ScaledVolume, b: ScaledVolume, rule: str, path_a: Path, path_b: Path) -> Aligned:
    """Align scan b to scan a.

    Args:
        a: the fixed scan.
        b: the moving scan.
        rule: see :data:`mri_cyclegan.data.pairs.RULES`; ``"register"`` registers scans on different grids.
        path_a: file of a, for messages.
        path_b: file of b, for messages.

    Raises:
        UnfitFile: the two do not show the same head.
    """
    difference = grid_difference(grid_of(a), grid_of(b))
    registration = None
    if difference and rule == "register":
        try:
            registration = register(a, b)
        except ValueError as error:
            raise UnfitFile(path_b, f"{error}: not the head of {path_a}", "Register the two yourself.") from error
        b = registration.move(b)
    _require_common_head(a, b, path_a, path_b)
    return Aligned(b, difference, registration)


def grid_of(volume: ScaledVolume) -> Grid:
    """Shape and affine of a volume."""
    return Grid(volume.array.shape, volume.affine)


def on_grid(volume: ScaledVolume, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Intensities and foreground of a volume, resampled onto another grid."""
    foreground = resampled(volume.foreground.astype(np.float32), volume.affine, grid, order=0) > 0.5
    return resampled(volume.array, volume.affine, grid, order=1), foreground


def _require_common_head(a: ScaledVolume, b: ScaledVolume, path_a: Path, path_b: Path) -> None:
    reached = inside_field_of_view(grid_of(b), grid_of(a))
    head_a = a.foreground & reached
    _, head_b = on_grid(b, grid_of(a))
    share = np.count_nonzero(head_a) / np.count_nonzero(a.foreground)
    remedy = "Register the two (data.pairs=register), or leave the subject out."
    if share < MIN_COVERED:
        problem = f"its field of view holds only {100 * share:.0f} % of the head that {path_a} shows"
        raise UnfitFile(path_b, problem, remedy)
    overlap = dice(head_a, head_b)
    if overlap < MIN_OVERLAP:
        problem = f"its head overlaps that of {path_a} by only {100 * overlap:.0f} % (Dice): not registered"
        raise UnfitFile(path_b, problem, remedy)
