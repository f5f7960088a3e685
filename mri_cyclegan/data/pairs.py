"""Which scans of the two contrasts show one head in one place."""

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
from mri_cyclegan.data.splits.participants import name_some

# How scans of one subject and session become a pair: on one grid alone; also on different grids, by where their headers
# say the head lies in the scanner; or these after a rigid registration.
RULES = ("grid", "space", "register")

# Of a scan: its shape and affine.
GridOf = Callable[[Scan], tuple[Sequence[int], np.ndarray]]


class Pair(NamedTuple):
    """Scans of both contrasts of one subject and session.

    Attributes:
        a: of the first contrast.
        b: of the second.
        difference: in words how the grid of b differs from that of a; empty on one grid, and where a header cannot be
            read: reading the scan tells why.
    """

    a: Scan
    b: Scan
    difference: str

    def obstacle(self, rule: str) -> str:
        """In words why the two cannot be compared under a rule of :data:`RULES`; empty if they can."""
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
    """Scans of both contrasts from the same subject and session, each scan in one pair at most.

    One scan of each contrast is a pair. Where a session has several of a contrast, those on one grid are taken first;
    among these, and among those left over, the ones whose names differ in the contrast alone, then the first by name.
    Several pictures pair by their names alone: a grid says nothing about what a picture shows.

    Args:
        scans: of any subjects.
        contrasts: (a, b).
        grid_of: tells where the voxels of a scan lie. An :class:`UnfitFile` from it means that this is unknown.
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


def left_over(scans: Sequence[Scan], contrasts: Sequence[str], pairs: Sequence[Pair], root: Path) -> list[Finding]:
    """A warning that names the scans which are in no pair although their session has the other contrast."""
    taken = {scan for pair in pairs for scan in (pair.a, pair.b)}
    had: dict[tuple[str, str], set[str]] = defaultdict(set)
    for scan in scans:
        had[scan.subject, scan.session].add(scan.contrast)
    both = set(contrasts)
    alone = [scan.path.name for scan in scans if scan not in taken and had[scan.subject, scan.session] >= both]
    if not alone:
        return []
    problem = f"several scans of a contrast in one session, and no partner of their own for {name_some(alone)}"
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
    return _each_once([candidate for *_, candidate in sorted(ranked)])


def _each_once(ranked: Sequence[Pair]) -> list[Pair]:
    """The pairs, best first, less those of which a scan is taken already; sorted."""
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
    """The BIDS entity ``space-``, what a derivative was registered to; empty for the scanner's."""
    match = re.search(r"(?:^|_)space-([A-Za-z0-9]+)", scan.path.name)
    return match.group(1) if match else ""
