"""Who trains, who validates, who tests: by subject, never by slice."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mri_cyclegan.data.layouts import Scan, find_pairs


@dataclass(frozen=True)
class Split:
    """Scans of each part.

    Attributes:
        train_a: training scans of contrast a.
        train_b: training scans of contrast b.
        val: validation scans, both contrasts.
        test: test scans, both contrasts.
        allow_paired_subjects: whether one subject may feed both training domains.

    Raises:
        ValueError: a subject is in two parts, or feeds both training domains without being allowed to.
    """

    train_a: list[Scan]
    train_b: list[Scan]
    val: list[Scan]
    test: list[Scan]
    allow_paired_subjects: bool = False

    def __post_init__(self) -> None:
        parts = {"train": self.train_a + self.train_b, "val": self.val, "test": self.test}
        seen: dict[str, str] = {}
        for part, scans in parts.items():
            for subject in sorted({scan.subject for scan in scans}):
                if subject in seen:
                    raise ValueError(
                        f"Subject {subject} is in both {seen[subject]} and {part}; a subject has one part."
                    )
                seen[subject] = part
        shared = self.subjects_in_both_domains()
        if shared and not self.allow_paired_subjects:
            raise ValueError(
                f"Subjects {', '.join(shared[:5])} give both contrasts to training, which is then not unpaired. "
                "Set data.allow_paired_subjects=true if that is meant."
            )

    def subjects_in_both_domains(self) -> list[str]:
        """Training subjects that give slices to both domains; none when the training is truly unpaired."""
        return sorted({scan.subject for scan in self.train_a} & {scan.subject for scan in self.train_b})

    def save(self, path: str | Path) -> None:
        """Write the parts as JSON: subjects, and every file of each part."""
        parts = {"train_a": self.train_a, "train_b": self.train_b, "val": self.val, "test": self.test}
        content = {
            "subjects": {part: sorted({scan.subject for scan in scans}) for part, scans in parts.items()},
            "files": {part: [str(scan.path) for scan in scans] for part, scans in parts.items()},
            "subjects_in_both_training_domains": self.subjects_in_both_domains(),
        }
        Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def split_by_subject(
    scans: Sequence[Scan],
    contrasts: Sequence[str],
    val_share: float,
    test_share: float,
    seed: int,
    allow_paired_subjects: bool,
) -> Split:
    """Divide subjects by a hash of their names, so that adding a subject does not move the others.

    Validation and test subjects are drawn from those with both contrasts where there are any; all other subjects
    train. A part that the draw left empty gets one subject if training can spare it: each contrast keeps at least one
    training subject.

    Args:
        scans: all scans.
        contrasts: (a, b).
        val_share: share of the candidates that validate, in [0, 1).
        test_share: share of the candidates that test, in [0, 1).
        seed: of the hash.
        allow_paired_subjects: let a training subject with both contrasts feed both domains; otherwise it feeds one.
    """
    if not (val_share >= 0 and test_share >= 0 and val_share + test_share < 1):
        raise ValueError(
            "data.val_share and data.test_share: expected at least 0 and under 1 together, "
            f"got {val_share} and {test_share}."
        )
    paired = {a.subject for a, _ in find_pairs(scans, contrasts)}
    owners = [{scan.subject for scan in scans if scan.contrast == contrast} for contrast in contrasts]
    num_lacking = sum(subjects <= paired for subjects in owners)
    part_of: dict[str, str] = {}
    for group, num_kept in [(paired, num_lacking)] if paired else [(subjects, 1) for subjects in owners]:
        part_of |= _draw(sorted(group), {"test": test_share, "val": val_share}, seed, num_kept)
    return _assemble(scans, contrasts, part_of, seed, allow_paired_subjects)


def split_by_column(
    scans: Sequence[Scan],
    contrasts: Sequence[str],
    participants: Path,
    column: str,
    seed: int,
    allow_paired_subjects: bool,
) -> Split:
    """Take each subject's part from a column of ``participants.tsv``: ``train``, ``val`` or ``test``.

    Raises:
        ValueError: file, column, subject or part is missing or unknown.
    """
    if not participants.is_file():
        raise ValueError(f"{participants} does not exist, but data.split_column={column} asks for it.")
    with participants.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    for name in (column, "participant_id"):
        if not rows or name not in rows[0]:
            raise ValueError(f"{participants}: no column {name!r}; it has {', '.join(rows[0]) if rows else 'no rows'}.")
    part_of = {row["participant_id"]: row[column] or "no value" for row in rows}
    wrong = sorted(set(part_of.values()) - {"train", "val", "test"})
    if wrong:
        raise ValueError(f"{participants}: column {column!r} holds {', '.join(wrong)}; expected train, val or test.")
    missing = sorted({scan.subject for scan in scans} - part_of.keys())
    if missing:
        raise ValueError(f"{participants}: no row for {', '.join(missing[:5])}.")
    return _assemble(scans, contrasts, part_of, seed, allow_paired_subjects)


def _unit_hash(subject: str, purpose: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{purpose}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _draw(subjects: list[str], shares: dict[str, float], seed: int, num_kept: int) -> dict[str, str]:
    """Part of each drawn subject; whoever is not in the result, at least ``num_kept`` subjects, trains."""
    ranked = sorted(subjects, key=lambda subject: _unit_hash(subject, "part", seed))
    candidates = ranked[: max(0, len(ranked) - num_kept)]
    part_of: dict[str, str] = {}
    low = 0.0
    for part, share in shares.items():
        part_of |= {name: part for name in candidates if low <= _unit_hash(name, "part", seed) < low + share}
        low += share
    for part in reversed(shares):
        left = [name for name in candidates if name not in part_of]
        if shares[part] > 0 and part not in part_of.values() and left:
            part_of[left[0]] = part
    return part_of


def _assemble(
    scans: Sequence[Scan], contrasts: Sequence[str], part_of: dict[str, str], seed: int, allow_paired_subjects: bool
) -> Split:
    parts: dict[str, list[Scan]] = {"train": [], "val": [], "test": []}
    for scan in scans:
        parts[part_of.get(scan.subject, "train")].append(scan)
    train_a, train_b = ([scan for scan in parts["train"] if scan.contrast == contrast] for contrast in contrasts)
    if not allow_paired_subjects:
        train_a, train_b = _one_domain_each(train_a, train_b, seed)
    for contrast, chosen in zip(contrasts, (train_a, train_b), strict=True):
        if not chosen:
            raise ValueError(
                f"No {contrast} scan is left for training. Each contrast needs at least one training subject of its "
                "own: add subjects, lower data.val_share and data.test_share, or set data.allow_paired_subjects=true."
            )
    return Split(train_a, train_b, parts["val"], parts["test"], allow_paired_subjects)


def _one_domain_each(scans_a: list[Scan], scans_b: list[Scan], seed: int) -> tuple[list[Scan], list[Scan]]:
    """Leave each subject that has both contrasts in one of the two lists, by its hash."""
    both = {scan.subject for scan in scans_a} & {scan.subject for scan in scans_b}
    ranked = sorted(both, key=lambda subject: _unit_hash(subject, "domain", seed))
    gives_a = {subject for subject in ranked if _unit_hash(subject, "domain", seed) < 0.5}
    only_a, only_b = ({scan.subject for scan in scans} - both for scans in (scans_a, scans_b))
    if len(ranked) > 1 or only_a or only_b:
        if ranked and not gives_a and not only_a:
            gives_a = {ranked[0]}
        if gives_a == both and both and not only_b:
            gives_a = gives_a - {ranked[-1]}
    return (
        [scan for scan in scans_a if scan.subject not in both or scan.subject in gives_a],
        [scan for scan in scans_b if scan.subject not in both or scan.subject not in gives_a],
    )
