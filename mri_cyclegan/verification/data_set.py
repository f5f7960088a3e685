"""Verification of a whole data set: each scan by itself, and the scans together."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mri_cyclegan.configuration.quoting import quote_value
from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.integrity import find_duplicates, find_mixed_formats
from mri_cyclegan.data.layouts import LayoutSettings, Scan, find_scans, require_both_contrasts
from mri_cyclegan.data.pairs import find_pairs, find_unpaired_scans
from mri_cyclegan.data.parallel import map_in_processes
from mri_cyclegan.data.source_hash import source_bytes
from mri_cyclegan.data.splits.participants import MISSING, read_column
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.host_memory import peak_memory_bytes
from mri_cyclegan.verification.examination import ScanExamination, ScanMeasurements, examine, metadata_as_json
from mri_cyclegan.verification.fingerprint import ContrastFingerprint, Proposal, compare_framing, fingerprint, propose

REPORT_VERSION = 1

# A worker process takes seconds to start, so each should get at least this much to read.
BYTES_PER_PROCESS = 10_000_000


@dataclass(frozen=True)
class Verification:
    """Everything to know about a data set before training on it.

    Attributes:
        root: folder of the data set.
        settings: how its scans are found.
        left_out: scans excluded by the user's filter (``data.bids_filters``).
        examined: every scan, sorted.
        findings: errors first, then warnings, each sorted by path.
        fingerprints: contrast to its fingerprint; contrasts without a usable scan are missing.
        proposal: settings that fit the scans; None unless both contrasts have a usable scan.
        read_overrides: non-default read options that were used, as overrides for the training command.
        split_column: column of ``participants.tsv`` that assigns subjects to train, val and test; None without one.
        num_pairs: pairs of scans from one subject and session, one per contrast, on the same grid.
        seconds: run time.
        num_bytes: total size of the scan files.
        peak_memory_bytes: largest resident set size of any process.
    """

    root: Path
    settings: LayoutSettings
    left_out: list[Path]
    examined: list[ScanExamination]
    findings: list[Finding]
    fingerprints: dict[str, ContrastFingerprint]
    proposal: Proposal | None
    read_overrides: list[str]
    split_column: str | None
    num_pairs: int
    seconds: float
    num_bytes: int
    peak_memory_bytes: int

    @property
    def num_errors(self) -> int:
        """Number of findings that stop training on the data set."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def layout(self) -> str:
        """Name of the layout."""
        return self.settings.layout

    @property
    def contrasts(self) -> tuple[str, ...]:
        """The two contrasts, (a, b)."""
        return self.settings.contrasts

    def examples(self) -> list[tuple[str, str]]:
        """Example files, as paths relative to the root, each with the subject inferred for it."""
        chosen = _example_scans(self.examined, self.contrasts)
        return [(one.scan.path.relative_to(self.root).as_posix(), _subject_label(one.scan)) for one in chosen]

    def overrides(self) -> list[str]:
        """Overrides for the training command: the location of the data set, and the proposed settings."""
        if self.proposal is None:
            return []
        where = [f"data={self.layout}", f"data.root={quote_value(self.root)}"]
        where += [f"data.{key}={quote_value(value)}" for key, value in self.settings.overrides().items()]
        if self.contrasts != ("T1w", "T2w"):
            where.append(f"data.contrasts=[{','.join(map(quote_value, self.contrasts))}]")
        if self.split_column:
            where.append(f"data.split_column={quote_value(self.split_column)}")
        return where + self.read_overrides + self.proposal.overrides()

    def as_json(self) -> dict[str, Any]:
        """Content of ``verify.json``."""
        return {
            "version": REPORT_VERSION,
            "root": str(self.root),
            "layout": self.layout,
            "contrasts": list(self.contrasts),
            "num_scans": len(self.examined),
            "num_pairs": self.num_pairs,
            "num_errors": self.num_errors,
            "num_warnings": len(self.findings) - self.num_errors,
            "left_out": [str(path) for path in self.left_out],
            "examples": [{"file": file, "subject": subject} for file, subject in self.examples()],
            "findings": [finding.as_json() for finding in self.findings],
            "fingerprints": {name: vars(one) for name, one in self.fingerprints.items()},
            "proposal": None if self.proposal is None else vars(self.proposal),
            "overrides": self.overrides(),
            "seconds": round(self.seconds, 2),
            "num_bytes": self.num_bytes,
            "peak_memory_bytes": self.peak_memory_bytes,
            "scans": [metadata_as_json(one) for one in self.examined],
        }


def verify(
    root: Path,
    settings: LayoutSettings,
    options: ReadOptions,
    num_processes: int,
) -> Verification:
    """Find and examine every scan, then check the data set as a whole.

    Raises:
        ValueError: the folder is missing, or a setting does not match its files.
    """
    start = perf_counter()
    contrasts = settings.contrasts
    scans, findings, left_out = find_scans(root, settings)
    num_bytes = sum(source_bytes(scan.path) for scan in scans)
    examined = map_in_processes(
        partial(_examine_in_process, options=options),
        scans,
        min(num_processes, 1 + num_bytes // BYTES_PER_PROCESS),
        "Reading scans",
        lambda scan: (ScanExamination(scan, [_killed(scan.path)]), 0),
    )
    peak_bytes = max([peak_memory_bytes(), *(peak for _, peak in examined)])
    looked_at = [one for one, _ in examined]
    aligned, pair_findings = _check_pairs(root, looked_at, contrasts)
    split_column = _split_column(root)
    together = [
        *_check_contrasts(root, settings, looked_at),
        *pair_findings,
        *_check_parts(root, split_column, looked_at),
    ]
    facts = [[one.facts for one in looked_at if one.facts and one.scan.contrast == name] for name in contrasts]
    if all(facts):
        together += compare_framing(root, contrasts, facts)
    return Verification(
        root=root,
        settings=settings,
        left_out=left_out,
        examined=looked_at,
        findings=sorted([*findings, *together, *(finding for one in looked_at for finding in one.findings)]),
        fingerprints={name: fingerprint(looked_at, name) for name, some in zip(contrasts, facts, strict=True) if some},
        proposal=propose(facts, _are_pictures(scans)) if all(facts) else None,
        read_overrides=_read_option_overrides(options),
        split_column=split_column,
        num_pairs=aligned,
        seconds=perf_counter() - start,
        num_bytes=num_bytes,
        peak_memory_bytes=peak_bytes,
    )


def _are_pictures(scans: Sequence[Scan]) -> bool:
    return all(scan.path.name.lower().endswith(PICTURE_SUFFIXES) for scan in scans)


def _read_option_overrides(options: ReadOptions) -> list[str]:
    settings = {
        "volume_index": options.volume_index,
        "nonfinite": None if options.nonfinite == "raise" else options.nonfinite,
        "assume_orientation": options.assume_orientation,
    }
    overrides = [f"data.{key}={quote_value(value)}" for key, value in settings.items() if value is not None]
    if options.series_uids:
        overrides.append(f"data.series_uids=[{','.join(map(quote_value, options.series_uids))}]")
    return overrides


def _split_column(root: Path) -> str | None:
    """First column of ``participants.tsv`` that holds only train, val, test or missing values; None without one."""
    try:
        with (root / "participants.tsv").open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
    except (OSError, ValueError, csv.Error):
        return None
    names = list(rows[0]) if rows else []
    values = {name: {(row[name] or "").strip().lower() for row in rows} - {"", MISSING} for name in names}
    return next((name for name, found in values.items() if found and found <= {"train", "val", "test"}), None)


def _check_parts(root: Path, column: str | None, examined: list[ScanExamination]) -> list[Finding]:
    """An error if the split column has no row for a subject, or contradictory ones, as training would raise."""
    if column is None:
        return []
    participants = root / "participants.tsv"
    try:
        read_column(participants, column, "data.split_column", {one.scan.subject for one in examined})
    except ValueError as error:
        return [Finding("error", participants, str(error).removeprefix(f"{participants}: "), "")]
    return []


def _examine_in_process(scan: Any, options: ReadOptions) -> tuple[ScanExamination, int]:
    return examine(scan, options), peak_memory_bytes()


def _killed(path: Path) -> Finding:
    problem = "the process that read it was killed, probably because memory ran out"
    return Finding("error", path, problem, "Use fewer processes (--jobs), or crop the scan.")


def _check_contrasts(root: Path, settings: LayoutSettings, examined: list[ScanExamination]) -> list[Finding]:
    """Check for both contrasts, with and without unfit scans, a lone subject, mixed formats and duplicates."""
    findings = []
    try:
        require_both_contrasts(root, settings, [one.scan for one in examined])
        fit = [one.scan for one in examined if one.facts is not None]
        require_both_contrasts(root, settings, fit)
    except ValueError as error:
        problem = str(error).removeprefix(f"{root}: ")
        findings.append(Finding("error", root, problem, ""))
    subjects = {one.scan.subject for one in examined if one.facts}
    if len(subjects) == 1:
        problem = f"{subjects.pop()} is the only subject, but each contrast trains on subjects of its own"
        findings.append(Finding("warning", root, problem, "Add scans, or set data.allow_paired_subjects=true."))
    findings += find_mixed_formats(root, [one.scan for one in examined])
    return findings + find_duplicates({one.scan: one.facts.voxel_hash for one in examined if one.facts})


def _check_pairs(root: Path, examined: list[ScanExamination], contrasts: Sequence[str]) -> tuple[int, list[Finding]]:
    """Number of pairs on one grid, and findings about scans without a partner or on different grids."""
    facts = {one.scan: one.facts for one in examined if one.facts}
    pairs = find_pairs(list(facts), contrasts, lambda scan: (facts[scan].shape, np.array(facts[scan].affine)))
    findings = find_unpaired_scans(list(facts), contrasts, pairs, root)
    apart = [pair for pair in pairs if pair.difference]
    for a, b, _ in apart:
        problem = f"on another grid than {b.path.name}: {_grid(facts[a])} and {_grid(facts[b])}"
        remedy = (
            "Fine for training. Paired metrics resample one onto the other by their places in the scanner, or after "
        )
        findings.append(Finding("warning", a.path, problem, remedy + "a rigid registration (data.pairs=register)."))
    if facts and not pairs:
        problem = "no subject has both contrasts in one session, so there will be no paired metrics"
        findings.append(Finding("warning", root, problem, "Judge by pictures, or add a few registered pairs."))
    return len(pairs) - len(apart), findings


def _subject_label(scan: Scan) -> str:
    known = "" if scan.is_subject_known else "?"
    return " ".join(filter(None, (scan.subject, scan.session))) + known


def _example_scans(examined: Sequence[ScanExamination], contrasts: Sequence[str]) -> list[ScanExamination]:
    """First, middle and last scan of each contrast."""
    chosen = []
    for contrast in contrasts:
        found = [one for one in examined if one.scan.contrast == contrast]
        chosen += [found[number] for number in sorted({0, len(found) // 2, len(found) - 1}) if found]
    return chosen


def _grid(facts: ScanMeasurements) -> str:
    shape, spacing = (" × ".join(f"{size:.3g}" for size in sizes) for sizes in (facts.shape, facts.spacing_mm))
    return f"{shape} voxels of {spacing} mm {facts.orientation}"
