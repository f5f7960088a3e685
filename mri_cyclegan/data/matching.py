"""Which slices of contrast b may stand beside a slice of contrast a in training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.cached_volume import CachedVolume

MATCHES = ("none", "position")


@dataclass(frozen=True)
class Candidates:
    """Slices of b that may be drawn for each slice of a: a stretch of one common order.

    Attributes:
        order: (N_b,) slices of b.
        start: (N_a,) where the stretch of each slice of a starts in ``order``.
        stop: (N_a,) where it ends, after the last.
    """

    order: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def draw(self, index_a: int, random: np.random.Generator) -> int:
        """One of the slices for a slice of a, each as likely as the others."""
        start = self.start[index_a]
        return int(self.order[start + random.integers(self.stop[index_a] - start)])


@dataclass(frozen=True)
class Matching:
    """How b is drawn for a: from anywhere, or from the same height in the head.

    Where the scans of one contrast cover another part of the head than those of the other, a discriminator can tell
    real from fake by the anatomy, and the generator learns to change it. Drawn by position, b shows what a shows.

    Attributes:
        match: ``"none"`` for any slice, ``"position"`` for one of about the same relative height.
        tolerance: largest difference of relative heights, in [0, 1]; the nearest slices are taken where none is
            within.
    """

    match: str
    tolerance: float

    def __post_init__(self) -> None:
        if self.match not in MATCHES:
            raise ValueError(f"data.match: expected one of {', '.join(MATCHES)}, got {self.match!r}.")
        if not 0 <= self.tolerance <= 1:
            raise ValueError(
                f"data.match_tolerance: expected a share of the head's height, in [0, 1]; got {self.tolerance}."
            )

    def candidates(
        self,
        volumes_a: Sequence[CachedVolume],
        slices_a: np.ndarray,
        volumes_b: Sequence[CachedVolume],
        slices_b: np.ndarray,
    ) -> Candidates:
        """Find what may be drawn.

        Args:
            volumes_a: of contrast a.
            slices_a: (N_a, 2) volume and slice numbers.
            volumes_b: of contrast b.
            slices_b: (N_b, 2) likewise.

        Raises:
            ValueError: heights are needed, and a volume has no height.
        """
        if self.match == "none":
            any_a = np.zeros(len(slices_a), dtype=np.int64)
            return Candidates(np.arange(len(slices_b)), any_a, any_a + len(slices_b))
        return near(_heights(volumes_a, slices_a), _heights(volumes_b, slices_b), self.tolerance)


def near(heights_a: np.ndarray, heights_b: np.ndarray, tolerance: float) -> Candidates:
    """For each height of a the heights of b within a tolerance, or the nearest.

    Args:
        heights_a: (N_a,).
        heights_b: (N_b,), in any order.
        tolerance: largest difference.
    """
    order = np.argsort(heights_b, kind="stable")
    ordered = heights_b[order]
    start = np.searchsorted(ordered, heights_a - tolerance, side="left")
    stop = np.searchsorted(ordered, heights_a + tolerance, side="right")
    below, above = (ordered[neighbour.clip(0, len(ordered) - 1)] for neighbour in (start - 1, start))
    nearest = np.where(heights_a - below <= above - heights_a, below, above)
    none = start == stop
    return Candidates(
        order,
        np.where(none, np.searchsorted(ordered, nearest, side="left"), start),
        np.where(none, np.searchsorted(ordered, nearest, side="right"), stop),
    )


def _heights(volumes: Sequence[CachedVolume], slices: np.ndarray) -> np.ndarray:
    """(N,) of (N, 2) volume and slice numbers."""
    of_volume = {number: _known_heights(volumes[number]) for number in np.unique(slices[:, 0])}
    return np.array([of_volume[number][index] for number, index in slices])


def _known_heights(volume: CachedVolume) -> np.ndarray:
    heights = volume.relative_heights
    if np.isnan(heights).any():
        raise ValueError(
            f"data.match=position: {volume.scan.path} shows the head in fewer than two slices, "
            "so where in the head they lie is unknown. Set data.match=none, or remove the file."
        )
    return heights
