"""Pairing of scans of the two contrasts from the same subject and session."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.grids import grid_difference
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.text import listing

# Which scans of a session can be compared: only those on the same grid; also those on different grids, aligned by the
# scanner positions in their headers; or aligned by rigid registration.
RULES = ("grid", "space", "register")

# Returns the shape and affine of a scan.
GridOf = Callable[[Scan], tuple[Sequence[int], np.ndarray]]


class Pair(NamedTuple):
    """Two scans of one subject and session, one per contrast.

    Attributes:
        a: scan of the first contrast.
        b: scan of the second contrast.
        difference: description of how the grid of b differs from that of a; empty if they match, or if a header
            cannot be read (reading the scan then reports why).
    """

    a: Scan
    b: Scan
    difference: str

    def why_not_comparable(self, rule: str) -> str:
        """Describe why the two cannot be compared under a rule of :data:`RULES`; empty if they can."""
        if not self.difference:
            return ""
        if _is_picture(self.a) or _is_picture(self.b):
            return f"{self.difference}, and pictures do not say where they lie in the scanner"
        if rule == "grid":
            return self.difference
        spaces = [_space(scan) for scan in (self.a, self.b)]
        if rule == "space" and spaces[0] != spaces[1]:
            return f"{self.difference}, and their names say two spaces ({' and '.join(s or 'none' for s in spaces)})"
        return ""


def find_pairs(scans: Sequence[Scan], contrasts: Sequence[str], grid_of: GridOf) -> list[Pair]:
    """Pair scans of both contrasts from the same subject and session, each scan at most once.

    A session with one scan per contrast gives one pair. If it has several, scans on the same grid are paired first,
    then the others; in both groups, paths that differ only in the contrast come first, then name order. Several
    pictures pair by path only: the grid of a picture does not say what it shows.

    Args:
        scans: scans of any subjects.
        contrasts: (a, b).
        grid_of: returns the shape and affine of a scan; an :class:`UnfitFile` it raises means that they are unknown.
    """
    sessions: dict[tuple[str, str], dict[str, list[Scan]]] = defaultdict(lambda: defaultdict(list))
    for scan in sorted(scans):
        sessions[scan.subject, scan.session][scan.contrast].append(scan)
    pairs = []
    for found in sessions.values():
        scans_a, scans_b = (found[contrast] for contrast in contrasts)
        if scans_a and scans_b:
            pairs += _pairs_of_session(scans_a, scans_b, grid_of)
    return pairs


def find_unpaired_scans(
    scans: Sequence[Scan], contrasts: Sequence[str], pairs: Sequence[Pair], root: Path
) -> list[Finding]:
    """Return a warning that names the unpaired scans of sessions with both contrasts."""
    taken = {scan for pair in pairs for scan in (pair.a, pair.b)}
    had: dict[tuple[str, str], set[str]] = defaultdict(set)
    for scan in scans:
        had[scan.subject, scan.session].add(scan.contrast)
    both = set(contrasts)
    alone = [scan.path.name for scan in scans if scan not in taken and had[scan.subject, scan.session] >= both]
    if not alone:
        return []
    problem = f"several scans of a contrast in one session, and no partner of their own for {listing(sorted(alone))}"
    remedy = "Fine for training; paired metrics use the others. To choose which, set data.bids_filters."
    return [Finding("warning", root, problem, remedy)]


def _pairs_of_session(scans_a: list[Scan], scans_b: list[Scan], grid_of: GridOf) -> list[Pair]:
    @cache
    def grid(scan: Scan) -> tuple[Sequence[int], np.ndarray] | None:
        try:
            return grid_of(scan)
        except UnfitFile:
            return None

    def pair(a: Scan, b: Scan) -> Pair:
        first, second = grid(a), grid(b)
        return Pair(a, b, "" if first is None or second is None else grid_difference(first, second))

    if len(scans_a) == len(scans_b) == 1:
        return [pair(scans_a[0], scans_b[0])]
    places = {scan: scan.place for scan in (*scans_a, *scans_b)}
    ranked = []
    for a, b in itertools.product(scans_a, scans_b):
        beside = places[a] == places[b]
        if _is_picture(a) or _is_picture(b) or grid(a) is None or grid(b) is None:
            if beside:
                ranked.append((True, False, pair(a, b)))
            continue
        candidate = pair(a, b)
        if beside or not candidate.difference or _space(a) == _space(b):
            ranked.append((bool(candidate.difference), not beside, candidate))
    return _greedy_pairs([candidate for *_, candidate in sorted(ranked)])


def _greedy_pairs(ranked: Sequence[Pair]) -> list[Pair]:
    """Greedily choose pairs, best first, so that each scan is used at most once; returns them sorted."""
    taken: set[Scan] = set()
    chosen = []
    for pair in ranked:
        if pair.a not in taken and pair.b not in taken:
            chosen.append(pair)
            taken |= {pair.a, pair.b}
    return sorted(chosen)


def _is_picture(scan: Scan) -> bool:
    return scan.path.name.lower().endswith(PICTURE_SUFFIXES)


def _space(scan: Scan) -> str:
    """BIDS entity ``space-``, the space a derivative was registered to; empty for scanner space."""
    match = re.search(r"(?:^|_)space-([A-Za-z0-9]+)", scan.path.name)
    return match.group(1) if match else ""
