"""Columns of a data set's ``participants.tsv``."""

import csv
from collections.abc import Iterable
from pathlib import Path

from mri_cyclegan.data.layouts.scan import normalize_unicode
from mri_cyclegan.text import listing

MISSING = "n/a"


def read_column(participants: Path, column: str, key: str, subjects: Iterable[str]) -> dict[str, str]:
    """Read one column of the table, whether or not its ``participant_id`` starts with ``sub-``.

    Args:
        participants: the table; BIDS names its first column ``participant_id``.
        column: name of the column.
        key: configuration key that names the column, such as ``data.stratify_by``; for messages.
        subjects: subjects that must have a row.

    Returns:
        ``participant_id`` to value; ``n/a`` if the cell is empty or says ``n/a``, in upper or lower case.

    Raises:
        ValueError: the table, a column or a subject is missing, or two rows of a subject disagree.
    """
    asked = f"{key}={column}"
    header, rows = _read_table(participants, asked)
    for name in (column, "participant_id"):
        if name not in header:
            raise ValueError(
                f"{participants}: no column {name!r}; it has {', '.join(header) or 'none'}. {asked} needs it."
            )
    wanted = set(subjects)
    value_of: dict[str, str] = {}
    for row in rows:
        subject, value = (normalize_unicode((row[name] or "").strip()) for name in ("participant_id", column))
        if subject not in wanted and f"sub-{subject}" in wanted:
            subject = f"sub-{subject}"
        value = MISSING if value.lower() in ("", MISSING) else value
        if subject and value_of.setdefault(subject, value) != value:
            raise ValueError(
                f"{participants}: {subject} has two rows, with {value_of[subject]} and {value} in column {column!r} "
                f"({asked}). Keep one."
            )
    lacking = sorted(wanted - value_of.keys())
    if lacking:
        raise ValueError(
            f"{participants}: no row for {listing(sorted(lacking))}. {asked} needs one for every subject of the data "
            f"set; its value may be {MISSING}."
        )
    return value_of


def _read_table(participants: Path, asked: str) -> tuple[list[str], list[dict[str, str | None]]]:
    if not participants.is_file():
        raise ValueError(f"{participants} does not exist, but {asked} asks for it.")
    try:
        with participants.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines, delimiter="\t")
            return list(table.fieldnames or []), list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{participants}: not a table of UTF-8 text ({error}), which {asked} needs.") from error
