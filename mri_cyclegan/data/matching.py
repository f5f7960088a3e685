"""Which slices of contrast b may be drawn together with a slice of contrast a in training."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.grids import grid_difference
from mri_cyclegan.text import listing

MATCHES = ("none", "position", "subject")


@dataclass(frozen=True)
class Candidates:
    """Slices of b that may be drawn for each slice of a, as a range of one shared array.

    Attributes:
        order: (M,) indices of slices of b; each slice of a has the range ``order[start:stop]``.
        start: (N_a,) first position of each range.
        stop: (N_a,) position after the last of each range.
    """

    order: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def draw(self, index_a: int, random: np.random.Generator) -> int:
        """Draw a slice of b for a slice of a, uniformly among its candidates."""
        start = self.start[index_a]
        return int(self.order[start + random.integers(self.stop[index_a] - start)])


@dataclass(frozen=True)
class Matching:
    """How b is drawn for a: at random, at the same height in the head, or from the same subject.

    If the two contrasts cover different parts of the head, a discriminator can tell real from fake by anatomy, and the
    generator learns to change the anatomy. Matching by position gives both contrasts the same coverage. Matching by
    subject gives slices of the same place in the same head, for losses that compare pairs.

    Attributes:
        match: ``"none"`` for any slice, ``"position"`` for a slice at about the same relative height, ``"subject"``
            for the corresponding slice of the same subject and session, see :func:`same_subject_candidates`.
        tolerance: for ``"position"``, the largest difference of relative heights, in [0, 1]; if no slice is within
            it, the nearest ones are used.
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
        """Find the slices of b that may be drawn for each slice of a.

        Args:
            volumes_a: volumes of contrast a.
            slices_a: (N_a, 2), volume and slice indices.
            volumes_b: volumes of contrast b.
            slices_b: (N_b, 2), volume and slice indices.

        Raises:
            ValueError: relative heights are needed but unknown for a volume, or a volume of a needs a partner in b but
                has none.
        """
        if self.match == "none":
            any_a = np.zeros(len(slices_a), dtype=np.int64)
            return Candidates(np.arange(len(slices_b)), any_a, any_a + len(slices_b))
        if self.match == "subject":
            return same_subject_candidates(volumes_a, slices_a, volumes_b, slices_b)
        return near(_heights(volumes_a, slices_a), _heights(volumes_b, slices_b), self.tolerance)


def near(heights_a: np.ndarray, heights_b: np.ndarray, tolerance: float) -> Candidates:
    """For each height of a, find the heights of b within a tolerance, or else the nearest.

    Args:
        heights_a: (N_a,).
        heights_b: (N_b,), unsorted.
        tolerance: largest difference.
    """
    order = np.argsort(heights_b, kind="stable")
    ordered = heights_b[order]
    start = np.searchsorted(ordered, heights_a - tolerance, side="left")
    stop = np.searchsorted(ordered, heights_a + tolerance, side="right")
    below, above = (ordered[neighbor.clip(0, len(ordered) - 1)] for neighbor in (start - 1, start))
    nearest = np.where(heights_a - below <= above - heights_a, below, above)
    none = start == stop
    return Candidates(
        order,
        np.where(none, np.searchsorted(ordered, nearest, side="left"), start),
        np.where(none, np.searchsorted(ordered, nearest, side="right"), stop),
    )


def same_subject_candidates(
    volumes_a: Sequence[CachedVolume], slices_a: np.ndarray, volumes_b: Sequence[CachedVolume], slices_b: np.ndarray
) -> Candidates:
    """For each slice of a, find the slices of b from the same subject and session that show the same place.

    If a session has several scans of contrast b, those with the same path as the scan of a except for the contrast are
    used, else those on the same grid, else all of them. On the same grid the slice with the same index is taken, on
    another grid the one at the same relative height; if that slice is not in ``slices_b``, the nearest one. Ties go to
    the lower slice.

    Args:
        volumes_a: see :meth:`Matching.candidates`.
        slices_a: (N_a, 2), see :meth:`Matching.candidates`.
        volumes_b: see :meth:`Matching.candidates`.
        slices_b: (N_b, 2), see :meth:`Matching.candidates`.

    Raises:
        ValueError: a volume of a has no partner.
    """
    rows_a, rows_b = _rows_by_volume(slices_a), _rows_by_volume(slices_b)
    found: list[list[int]] = [[] for _ in slices_a]
    for number_a, numbers_b in _partners(volumes_a, list(rows_a), volumes_b, list(rows_b)).items():
        for number_b in numbers_b:
            here, there = rows_a[number_a], rows_b[number_b]
            places_a, places_b = _comparable_positions(volumes_a[number_a], volumes_b[number_b])
            nearest = near(places_a[slices_a[here, 1]], places_b[slices_b[there, 1]], tolerance=0)
            for row, start, stop in zip(here, nearest.start, nearest.stop, strict=True):
                found[row].extend(there[nearest.order[start:stop]])
    stop = np.cumsum([len(rows) for rows in found])
    return Candidates(np.concatenate(found).astype(np.int64), np.concatenate([[0], stop[:-1]]), stop)


def same_grid(*volumes: CachedVolume) -> bool:
    """Whether the scans of two volumes share a grid, so that equal slice indices show the same place."""
    first, second = ((volume.record["source_shape"], np.array(volume.record["source_affine"])) for volume in volumes)
    return not grid_difference(first, second)


def crop_to_partners(volumes_a: Sequence[CachedVolume], volumes_b: Sequence[CachedVolume]) -> list[CachedVolume]:
    """Volumes of b, cropped to the window of the same session's volume of a if the two share a grid.

    Windows follow each scan's own foreground, so they may differ by some pixels and shift the pair against each other.
    """
    by_session = defaultdict(list)
    for volume in volumes_a:
        by_session[volume.scan.subject, volume.scan.session].append(volume)
    seen = []
    for volume in volumes_b:
        partners = by_session[volume.scan.subject, volume.scan.session]
        cut = (volume.cropped_like(partner) for partner in partners)
        seen.append(next(filter(None, cut), volume))
    return seen


def _rows_by_volume(slices: np.ndarray) -> dict[int, np.ndarray]:
    return {int(number): np.flatnonzero(slices[:, 0] == number) for number in np.unique(slices[:, 0])}


def _partners(
    volumes_a: Sequence[CachedVolume], numbers_a: list[int], volumes_b: Sequence[CachedVolume], numbers_b: list[int]
) -> dict[int, list[int]]:
    """Map each volume index of a to the volume indices of b from the same subject and session."""
    by_session, by_place = defaultdict(list), defaultdict(list)
    for number in numbers_b:
        scan = volumes_b[number].scan
        by_session[scan.subject, scan.session].append(number)
        by_place[scan.subject, scan.session, scan.place].append(number)
    partners = {}
    for number in numbers_a:
        scan = volumes_a[number].scan
        beside = by_place.get((scan.subject, scan.session, scan.place))
        of_session = by_session.get((scan.subject, scan.session), [])
        on_grid = [other for other in of_session if same_grid(volumes_a[number], volumes_b[other])]
        partners[number] = beside or on_grid or of_session
    alone = [volumes_a[number].scan.path.name for number, found in partners.items() if not found]
    if alone:
        raise ValueError(
            f"data.match=subject: {len(alone)} of {len(numbers_a)} {volumes_a[0].scan.contrast} scans have no "
            f"{volumes_b[0].scan.contrast} slices of the same subject and session to train with: "
            f"{listing(sorted(alone))}. "
            "Set data.allow_paired_subjects=true, so that a subject gives both contrasts to training; leave subjects "
            "without both out (data.split_column); or set data.match=none."
        )
    return partners


def _comparable_positions(volume_a: CachedVolume, volume_b: CachedVolume) -> tuple[np.ndarray, np.ndarray]:
    """Comparable positions of the slices of two volumes of one subject: slice indices, or relative heights."""
    # A lone picture always has slice index 0, so only its path tells which picture shows the same place.
    pictures = volume_a.num_slices == volume_b.num_slices == 1
    alike = volume_a.scan.place == volume_b.scan.place if pictures else same_grid(volume_a, volume_b)
    if alike:
        return np.arange(volume_a.num_slices), np.arange(volume_b.num_slices)
    return _known_heights(volume_a, "subject"), _known_heights(volume_b, "subject")


def _heights(volumes: Sequence[CachedVolume], slices: np.ndarray) -> np.ndarray:
    """Relative heights, (N,), of slices given as (N, 2) volume and slice indices."""
    of_volume = {number: _known_heights(volumes[number], "position") for number in np.unique(slices[:, 0])}
    return np.array([of_volume[number][index] for number, index in slices])


def _known_heights(volume: CachedVolume, match: str) -> np.ndarray:
    heights = volume.relative_heights
    if np.isnan(heights).any():
        raise ValueError(
            f"data.match={match}: {volume.scan.path} shows the head in fewer than two slices, "
            "so where in the head they lie is unknown. Set data.match=none, or remove the file."
        )
    return heights
