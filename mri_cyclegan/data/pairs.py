"""Scans of both contrasts that belong together."""

from collections import defaultdict
from collections.abc import Sequence

from mri_cyclegan.data.layouts import Scan


def find_pairs(scans: Sequence[Scan], contrasts: Sequence[str]) -> list[tuple[Scan, Scan]]:
    """Scans of both contrasts from the same subject and session.

    Where a session has several scans of a contrast, those with the same stem in the same place below their contrast's
    folder belong together; others stay unpaired.
    """
    sessions: dict[tuple[str, str], dict[str, list[Scan]]] = defaultdict(lambda: defaultdict(list))
    for scan in sorted(scans):
        sessions[scan.subject, scan.session][scan.contrast].append(scan)
    pairs = []
    for found in sessions.values():
        scans_a, scans_b = (found[contrast] for contrast in contrasts)
        if len(scans_a) == len(scans_b) == 1:
            pairs.append((scans_a[0], scans_b[0]))
        else:
            pairs += [(a, b) for a in scans_a for b in scans_b if a.place == b.place]
    return pairs
