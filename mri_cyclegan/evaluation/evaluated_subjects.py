"""Describes the evaluated subjects in text, and what that choice means for the figures."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

PART_NAMES = {"test": "test ", "val": "validation ", "all": ""}


def describe_subjects(part: str, subjects: Collection[str], chose_epoch: Collection[str]) -> str:
    """Text: number of subjects, part of the split, and how many were used to choose the epoch.

    Args:
        part: of the split: ``"test"``, ``"val"`` or ``"all"``.
        subjects: names of the evaluated subjects, repeats allowed.
        chose_epoch: subjects on whom the best epoch was chosen.

    >>> describe_subjects("test", ["sub-1", "sub-2"], []), describe_subjects("val", ["sub-1"], ["sub-1"])
    ('2 test subjects', '1 validation subject, on whom the epoch was chosen')
    >>> describe_subjects("all", ["sub-1", "sub-2"], ["sub-1"])
    '2 subjects, on 1 of whom the epoch was chosen'
    """
    names = set(subjects)
    words = f"{len(names)} {PART_NAMES.get(part, f'{part} ')}subject{'s' if len(names) != 1 else ''}"
    chosen_on = len(names & set(chose_epoch))
    if not chosen_on:
        return words
    whom = "whom" if chosen_on == len(names) else f"{chosen_on} of whom"
    return f"{words}, on {whom} the epoch was chosen"


def caveats(
    directions: Mapping[str, Sequence[str]], subjects: Sequence[Mapping[str, Any]], chose_epoch: Collection[str]
) -> list[str]:
    """Caveats that follow from the choice of evaluated subjects, one sentence each.

    Args:
        directions: direction to source and target contrast.
        subjects: entries of ``subjects`` in ``metrics.json``.
        chose_epoch: evaluated subjects on whom the best epoch was chosen.
    """
    sentences = []
    if chose_epoch:
        others = len({subject["subject"] for subject in subjects} - set(chose_epoch))
        sentences.append(
            f"The epoch was chosen on {f'{len(chose_epoch)} of these' if others else 'these'} subjects, so their "
            "figures flatter the model: new subjects may fare worse. Keep test subjects apart (data.test_share)."
        )
    for direction, names in directions.items():
        paired = {one["subject"] for one in subjects if one["ways"].get(direction, {}).get("metrics")}
        if len(paired) == 1:
            sentences.append(
                f"{' → '.join(names)}: a single subject has a pair, so there is neither a standard deviation nor an "
                "interval: nothing is said of others."
            )
    return sentences
