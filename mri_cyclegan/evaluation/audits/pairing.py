"""Pairing: was the training unpaired, and were the evaluated subjects unseen?"""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.text import listing

NAME = "Pairing"


def assess_pairing(split: Mapping[str, Any] | None, evaluated: Sequence[str]) -> Audit:
    """Assess the split of a run: a single subject in both domains, or in training and evaluation, is ``RED``.

    Args:
        split: content of ``split.json``; None if there is none.
        evaluated: evaluated subjects.
    """
    if split is None:
        return Audit(NAME, None, Level.UNKNOWN, "no split.json", "Who was trained on is not known, so leakage is not.")
    train_a, train_b = (set(split["subjects"][part]) for part in ("train_a", "train_b"))
    shared, seen = train_a & train_b, (train_a | train_b) & set(evaluated)
    figure = (
        f"{len(train_a)} and {len(train_b)} training subjects, {len(shared)} in both domains, "
        f"{len(seen)} of {len(set(evaluated))} evaluated subjects among them"
    )
    values = {
        "num_train_a": float(len(train_a)),
        "num_train_b": float(len(train_b)),
        "num_shared": float(len(shared)),
        "num_seen": float(len(seen)),
    }
    is_known = split.get("identity") != "unknown"
    level = Level.RED if shared or seen else Level.GREEN if is_known else Level.UNKNOWN
    return Audit(NAME, None, level, figure, _meaning(shared, seen, is_known), values)


def _meaning(shared: set[str], seen: set[str], is_known: bool) -> str:
    sentences = []
    if seen:
        sentences.append(
            f"The training has seen {listing(sorted(seen))}: its figures are those of training, not of new subjects. "
            "Evaluate other subjects."
        )
    if shared:
        sentences.append(
            f"Training had both contrasts of {listing(sorted(shared))}: it was not unpaired, and is not to be reported "
            "as that. Set data.allow_paired_subjects=false and train again."
        )
    if not is_known:
        sentences.append(
            "The subject is not known for all scans, so one person may be in training and in test. "
            "Set data.subject_pattern and train again."
        )
    return " ".join(sentences) or "No subject feeds both training domains, and no evaluated subject was trained on."
