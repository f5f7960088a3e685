"""Data sets of names, and their division, for the tests of splits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.pairs import find_pairs
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import Split, split_subjects

CONTRASTS = ("T1w", "T2w")


def scan(subject: str, contrast: str, session: str = "", root: str = "/data") -> Scan:
    return Scan(subject, session, contrast, Path(f"{root}/{subject}/{session}{subject}_{contrast}.nii.gz"))


def both(names: Sequence[str]) -> list[Scan]:
    return [scan(name, contrast) for name in names for contrast in CONTRASTS]


def paired(count: int, prefix: str = "pair") -> list[Scan]:
    return both([f"{prefix}-{number}" for number in range(count)])


def single(count: int, contrast: str) -> list[Scan]:
    return [scan(f"only-{contrast}-{number}", contrast) for number in range(count)]


def settings(**changes) -> SplitSettings:
    values = {
        "split_file": None,
        "split_column": None,
        "num_folds": None,
        "fold": 0,
        "val_share": 0.1,
        "test_share": 0.1,
        "stratify_by": None,
        "split_seed": 0,
        "allow_paired_subjects": False,
    }
    return SplitSettings(**values | changes)


def divided(scans: Sequence[Scan], participants="no table", contrasts=CONTRASTS, **changes) -> Split:
    """Divided as scans on one grid are."""
    pairs = find_pairs(scans, contrasts, lambda scan: ((8, 8, 8), np.eye(4)))
    paired = {pair.a.subject for pair in pairs}
    return split_subjects(scans, contrasts, settings(**changes), Path(participants), paired)


def subjects(scans: Sequence[Scan]) -> set[str]:
    return {scan.subject for scan in scans}


def part_of(split: Split) -> dict[str, str]:
    parts = {"train_a": split.train_a, "train_b": split.train_b, "val": split.val, "test": split.test}
    return {scan.subject: part for part, scans in parts.items() for scan in scans}


def write_table(path: Path, columns: dict[str, dict[str, str]]) -> Path:
    """``participants.tsv`` with the given columns, each a value for each subject."""
    names = next(iter(columns.values()))
    rows = [["participant_id", *columns]] + [[name, *(column[name] for column in columns.values())] for name in names]
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path
