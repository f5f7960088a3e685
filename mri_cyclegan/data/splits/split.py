"""The split into training, validation and test scans, by subject and never by slice."""

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.splits.drawing import draw_parts, unit_hash
from mri_cyclegan.data.splits.part_folders import part_by_subject, parts_with_folders
from mri_cyclegan.data.splits.participants import MISSING, read_column
from mri_cyclegan.data.splits.saved import LEFT_OUT, PARTS, read_split_file
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.text import listing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Scans of each part.

    Attributes:
        contrasts: (a, b).
        settings: settings that determined the split.
        train_a: training scans of contrast a.
        train_b: training scans of contrast b.
        val: validation scans, both contrasts.
        test: test scans, both contrasts.
        left_out: subjects that have scans but no part.
        part_folders: parts that the data set's folders determined; empty if only the settings did.

    Raises:
        ValueError: a subject is in two parts, or in both training domains although the settings do not allow it.
    """

    contrasts: Sequence[str]
    settings: SplitSettings
    train_a: list[Scan]
    train_b: list[Scan]
    val: list[Scan]
    test: list[Scan]
    left_out: list[str] = field(default_factory=list)
    part_folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = {"train": self.train_a + self.train_b, "val": self.val, "test": self.test}
        seen: dict[str, str] = {}
        for part, scans in parts.items():
            for subject in sorted(_subjects(scans)):
                if subject in seen:
                    raise ValueError(
                        f"Subject {subject} is in both {seen[subject]} and {part}; a subject has one part."
                    )
                seen[subject] = part
        shared = self.subjects_in_both_domains()
        if shared and not self.settings.allow_paired_subjects:
            raise ValueError(
                f"Subjects {listing(sorted(shared))} give both contrasts to training, which is then not unpaired. "
                "Set data.allow_paired_subjects=true if that is meant."
            )

    def subjects_in_both_domains(self) -> list[str]:
        """Training subjects in both domains; none if training is truly unpaired."""
        return sorted(_subjects(self.train_a) & _subjects(self.train_b))

    @property
    def pairing(self) -> str:
        """Sentences that say why training is not unpaired, or not known to be; empty if it is."""
        count = len(self.subjects_in_both_domains())
        shared = f"{count} subject{'s give' if count > 1 else ' gives'} both contrasts to training." if count else ""
        unknown = "" if self.is_identity_known else "The subject is not known for all scans."
        return " ".join(filter(None, (shared, unknown)))

    @property
    def is_identity_known(self) -> bool:
        """Whether the subject of every scan is known; if not, one person may be in two parts."""
        return all(scan.is_subject_known for scan in (*self.train_a, *self.train_b, *self.val, *self.test))

    def save(self, path: str | Path, root: str | Path) -> None:
        """Write the deciding settings and each part's subjects and files as JSON, for ``data.split_file`` to read.

        Args:
            path: the file.
            root: folder of the data set, where evaluation looks for it.
        """
        parts = {part: getattr(self, part) for part in PARTS}
        content = {
            "root": str(Path(root).absolute()),
            "contrasts": list(self.contrasts),
            "decided_by": self.settings.rule(self.part_folders),
            "identity": "known" if self.is_identity_known else "unknown",
            "subjects": {part: sorted(_subjects(scans)) for part, scans in parts.items()} | {LEFT_OUT: self.left_out},
            "files": {part: [str(scan.path) for scan in scans] for part, scans in parts.items()},
            "subjects_in_both_training_domains": self.subjects_in_both_domains(),
        }
        atomic_write_text(Path(path), json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def split_subjects(
    scans: Sequence[Scan],
    contrasts: Sequence[str],
    settings: SplitSettings,
    participants: Path,
    paired: Collection[str],
) -> Split:
    """Split the subjects: as in an earlier run, by a column or the data set's folders, or by a random draw.

    Args:
        scans: all scans.
        contrasts: (a, b).
        settings: which of these, and how; :func:`mri_cyclegan.data.splits.drawing.draw_parts` describes the draw.
        participants: ``participants.tsv``; read only if the settings name a column.
        paired: subjects with a pair that can be compared.

    Raises:
        ValueError: the settings, the data set and the files named by the settings contradict each other.
    """
    if settings.split_file is not None:
        split = _split_from_file(scans, contrasts, settings)
    elif settings.split_column is not None:
        split = _assemble(scans, contrasts, settings, _parts_of_column(scans, settings, participants))
    elif settings.num_folds is None and parts_with_folders(scans):
        split = _as_in_folders(scans, contrasts, settings, participants, paired)
    else:
        strata = _strata(scans, settings, participants)
        split = _assemble(scans, contrasts, settings, draw_parts(scans, contrasts, settings, strata, paired))
    for contrast, chosen in zip(contrasts, (split.train_a, split.train_b), strict=True):
        if not chosen:
            rule = settings.deciding_keys(split.part_folders)
            raise ValueError(
                f"No {contrast} scan is left for training ({rule}). Each contrast needs at least one "
                "training subject of its own: add subjects, leave more of them to training, or set "
                "data.allow_paired_subjects=true."
            )
    if split.left_out:
        counts = len(split.left_out), len(_subjects(scans))
        rule = settings.deciding_keys(split.part_folders)
        log.warning("Left out (%s): %d of %d subjects, %s.", rule, *counts, listing(sorted(split.left_out)))
    return split


def _subjects(scans: Sequence[Scan]) -> set[str]:
    return {scan.subject for scan in scans}


def _strata(scans: Sequence[Scan], settings: SplitSettings, participants: Path) -> dict[str, str] | None:
    if settings.stratify_by is None:
        return None
    return read_column(participants, settings.stratify_by, "data.stratify_by", _subjects(scans))


def _parts_of_column(scans: Sequence[Scan], settings: SplitSettings, participants: Path) -> dict[str, str]:
    column = settings.split_column
    assert column is not None
    part_of = read_column(participants, column, "data.split_column", _subjects(scans))
    wrong = sorted(set(part_of.values()) - {"train", "val", "test", MISSING})
    if wrong:
        raise ValueError(
            f"{participants}: column {column!r} holds {', '.join(wrong)}; expected train, val or test, "
            f"or {MISSING} to leave a subject out."
        )
    return {subject: LEFT_OUT if part == MISSING else part for subject, part in part_of.items()}


def _as_in_folders(
    scans: Sequence[Scan],
    contrasts: Sequence[str],
    settings: SplitSettings,
    participants: Path,
    paired: Collection[str],
) -> Split:
    """Split by the data set's folders; without a validation folder, draw validation from the training subjects."""
    part_of = part_by_subject(scans)
    folders = parts_with_folders(scans)
    if "val" not in folders and settings.val_share > 0:
        training = [scan for scan in scans if part_of[scan.subject] == "train"]
        strata = _strata(scans, settings, participants)
        part_of |= draw_parts(training, contrasts, replace(settings, test_share=0.0), strata, paired)
    return replace(_assemble(scans, contrasts, settings, part_of), part_folders=folders)


def _split_from_file(scans: Sequence[Scan], contrasts: Sequence[str], settings: SplitSettings) -> Split:
    assert settings.split_file is not None
    path = Path(settings.split_file).expanduser()
    saved = read_split_file(path, contrasts)
    unknown = _subjects(scans) - set().union(*saved.values())
    if unknown:
        raise ValueError(
            f"{path}: no part for {listing(sorted(unknown))}, which the data set holds. Add them to a list under "
            f"'subjects' ({', '.join(saved)}), or set data.split_file=null to draw a new split."
        )
    parts = {part: [scan for scan in scans if scan.subject in saved[part]] for part in PARTS}
    for part, contrast in zip(("train_a", "train_b"), contrasts, strict=True):
        parts[part] = [scan for scan in parts[part] if scan.contrast == contrast]
    gone = {name for part in PARTS for name in saved[part] - _subjects(parts[part])}
    if gone:
        counts = len(gone), len(set().union(*saved.values()))
        log.warning("Scans are not there of %d of %d subjects in %s: %s.", *counts, path, listing(sorted(gone)))
    train_a, train_b, val, test = (parts[part] for part in PARTS)
    left_out = sorted(saved[LEFT_OUT] & _subjects(scans))
    return Split(contrasts, settings, train_a, train_b, val, test, left_out)


def _assemble(
    scans: Sequence[Scan], contrasts: Sequence[str], settings: SplitSettings, part_of: dict[str, str]
) -> Split:
    """Split by the part of each subject; subjects without a part train."""
    parts: dict[str, list[Scan]] = {"train": [], "val": [], "test": [], LEFT_OUT: []}
    for scan in scans:
        parts[part_of.get(scan.subject, "train")].append(scan)
    train_a, train_b = ([scan for scan in parts["train"] if scan.contrast == contrast] for contrast in contrasts)
    if not settings.allow_paired_subjects:
        train_a, train_b = _assign_one_domain(train_a, train_b, settings.split_seed)
    left_out = sorted(_subjects(parts[LEFT_OUT]))
    return Split(contrasts, settings, train_a, train_b, parts["val"], parts["test"], left_out)


def _assign_one_domain(scans_a: list[Scan], scans_b: list[Scan], seed: int) -> tuple[list[Scan], list[Scan]]:
    """Keep each subject that has both contrasts in only one of the two lists, chosen by its hash."""
    both = _subjects(scans_a) & _subjects(scans_b)
    ranked = sorted(both, key=lambda subject: unit_hash(subject, "domain", seed))
    gives_a = {subject for subject in ranked if unit_hash(subject, "domain", seed) < 0.5}
    only_a, only_b = (_subjects(scans) - both for scans in (scans_a, scans_b))
    if len(ranked) > 1 or only_a or only_b:
        if ranked and not gives_a and not only_a:
            gives_a = {ranked[0]}
        if gives_a == both and both and not only_b:
            gives_a = gives_a - {ranked[-1]}
    return (
        [scan for scan in scans_a if scan.subject not in both or scan.subject in gives_a],
        [scan for scan in scans_b if scan.subject not in both or scan.subject not in gives_a],
    )
