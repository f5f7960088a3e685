"""Subjects to evaluate: pairs of scans, and single scans."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.grids import grid_difference
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.pairs import Pair, find_pairs
from mri_cyclegan.data.reading import read_shape
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.evaluation.subjects.records import subject_record_key


@dataclass(frozen=True)
class Subject:
    """A pair of scans, or a single scan, of one subject and session.

    Attributes:
        name: name of the subject.
        session: empty if there is none.
        scans: contrast ``"a"``, ``"b"`` or both to its scan.
    """

    name: str
    session: str
    scans: Mapping[str, Scan]

    @property
    def is_paired(self) -> bool:
        """Whether it has a scan of both contrasts."""
        return len(self.scans) == 2

    @property
    def scan(self) -> str:
        """Stem of the scans' file names, without the contrast."""
        return next(iter(self.scans.values())).stem

    @property
    def paths(self) -> list[Path]:
        """Paths of its scans."""
        return [scan.path for scan in self.scans.values()]

    @property
    def key(self) -> str:
        """Key of its record."""
        name = "_".join(filter(None, (self.name, self.session)))
        return subject_record_key(name, b"\n".join(os.fsencode(path) for path in self.paths))


def list_subjects(scans: Sequence[Scan], contrasts: Sequence[str], options: ReadOptions) -> list[Subject]:
    """Every pair and every unpaired scan, sorted by name."""
    pairs = find_pairs(scans, contrasts, lambda scan: read_shape(scan.path, options))
    partners = {scan for pair in pairs for scan in (pair.a, pair.b)}
    alone = [scan for scan in scans if scan not in partners]
    subjects = [Subject(a.subject, a.session, {"a": a, "b": b}) for a, b, _ in pairs]
    subjects += [Subject(s.subject, s.session, {"ab"[list(contrasts).index(s.contrast)]: s}) for s in alone]
    return sorted(subjects, key=lambda one: (one.name, one.session, one.scan, one.key))


def find_unaligned(subjects: Sequence[Subject], options: ReadOptions, rule: str) -> dict[str, Finding]:
    """Pairs whose headers say that they cannot be compared: key of the subject to the finding.

    Args:
        subjects: subjects to check; unpaired ones are skipped.
        options: how incomplete or unusual files are read.
        rule: see :data:`mri_cyclegan.data.pairs.RULES`.
    """
    findings = {}
    for subject in subjects:
        if subject.is_paired:
            a, b = (subject.scans[letter] for letter in "ab")
            try:
                difference = grid_difference(read_shape(a.path, options), read_shape(b.path, options))
            except UnfitFile as error:
                findings[subject.key] = error.finding
                continue
            if problem := Pair(a, b, difference).why_not_comparable(rule):
                findings[subject.key] = Finding("error", b.path, f"not on the grid of {a.path}: {problem}", "")
    return findings
