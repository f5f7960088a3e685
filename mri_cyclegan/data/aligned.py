"""Two scans of one head in one place, whatever grids they are stored on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.grids import Grid, covered, grid_difference, resampled
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.register import Registration, register

# Heads of one person in one place overlap in nearly all of their voxels, whatever the contrast.
MIN_OVERLAP = 0.7

# Share of a head that a scan on another grid must reach: of less, figures would be those of another head.
MIN_COVERED = 0.5


@dataclass(frozen=True)
class Aligned:
    """A scan of contrast b, brought to the place of one of contrast a.

    Attributes:
        b: the scan, moved if it was registered; on its own grid still.
        difference: in words how the two grids differ; empty if they are one.
        registration: how it was moved; None if it was not.
    """

    b: ScaledVolume
    difference: str
    registration: Registration | None

    def as_json(self) -> dict[str, Any] | None:
        """Plain JSON values: ``difference`` and ``registration``; None on one grid."""
        if not self.difference:
            return None
        registration = None if self.registration is None else self.registration.as_json()
        return {"difference": self.difference, "registration": registration}


def align(a: ScaledVolume, b: ScaledVolume, rule: str, path_a: Path, path_b: Path) -> Aligned:
    """Bring two scans to one place.

    Args:
        a: the scan that stays.
        b: the other one.
        rule: see :data:`mri_cyclegan.data.pairs.RULES`; ``"register"`` registers what lies on different grids.
        path_a: of a.
        path_b: of b.

    Raises:
        UnfitFile: the two show no common head.
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
    """Where the voxels of a volume lie."""
    return Grid(volume.array.shape, volume.affine)


def on_grid(volume: ScaledVolume, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Intensities and foreground of a volume on another grid."""
    foreground = resampled(volume.foreground.astype(np.float32), volume.affine, grid, order=0) > 0.5
    return resampled(volume.array, volume.affine, grid, order=1), foreground


def _require_common_head(a: ScaledVolume, b: ScaledVolume, path_a: Path, path_b: Path) -> None:
    reached = covered(grid_of(b), grid_of(a))
    head_a = a.foreground & reached
    _, head_b = on_grid(b, grid_of(a))
    share = np.count_nonzero(head_a) / np.count_nonzero(a.foreground)
    remedy = "Register the two (data.pairs=register), or leave the subject out."
    if share < MIN_COVERED:
        problem = f"its field of view holds only {100 * share:.0f} % of the head that {path_a} shows"
        raise UnfitFile(path_b, problem, remedy)
    overlap = 2 * np.count_nonzero(head_a & head_b) / (np.count_nonzero(head_a) + np.count_nonzero(head_b))
    if overlap < MIN_OVERLAP:
        problem = f"its head overlaps that of {path_a} by only {100 * overlap:.0f} % (Dice): not registered"
        raise UnfitFile(path_b, problem, remedy)
