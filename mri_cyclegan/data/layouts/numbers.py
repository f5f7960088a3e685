"""Numbers in names: which one identifies the subject, and which the slice or visit."""

import re
from typing import NamedTuple

from mri_cyclegan.data.layouts.contrast_names import SEPARATORS

_WORD = re.compile(r"[^\W_]+")

# A slice number after a word such as slice or axial, anywhere in a picture's name.
_SLICE = re.compile(
    r"(?<![^\W\d_])(?:slices?|slc|sl|images?|img|im|frame|axial|coronal|sagittal|z)[-_ .#]*(?P<number>\d+)(?![^\W_])",
    re.IGNORECASE,
)
# A visit, or a bare number, at the end of a volume's name.
_VISIT = re.compile(
    r"(?<![^\W_])(?:ses|session|visit|tp|timepoint|time|scan|run|day|month|year|fu|v|m)?[-_ ]?(?P<number>\d+)$",
    re.IGNORECASE,
)
_FIELD_STRENGTH = re.compile(r"(?<![^\W_])\d(?:\.\d+)?T(?![^\W_])", re.IGNORECASE)


class NumberedName(NamedTuple):
    """A name split into a number and the rest."""

    rest: str
    number: str


def split_number(name: str, is_slice: bool) -> NumberedName | None:
    """Split the number of a slice or visit off a name; None if there is none.

    Args:
        name: file or folder name without contrast and suffix.
        is_slice: whether it names a picture; in a volume's name, only the end is searched.

    >>> split_number("IXI001_s045", True), split_number("slice_008_IXI001", True)
    (NumberedName(rest='IXI001', number='s045'), NumberedName(rest='IXI001', number='008'))
    >>> split_number("BraTS-GLI-00012-001", False), split_number("anna", False)
    (NumberedName(rest='BraTS-GLI-00012', number='001'), None)
    """
    if not is_slice:
        match = _VISIT.search(name)
        return None if match is None else _without(name, match.start(), match.end(), match["number"])
    if match := _SLICE.search(name):
        return _without(name, match.start(), match.end(), match["number"])
    words = [match for match in _WORD.finditer(name) if any(map(str.isdigit, match.group()))]
    pure = [match for match in words if match.group().isdigit()]
    if not words:
        return None
    word = (pure or words)[-1]
    return _without(name, word.start(), word.end(), word.group())


def has_subject_number(text: str) -> bool:
    """Whether a number in the text may identify a subject; a field strength such as ``3T`` cannot."""
    return any(map(str.isdigit, _FIELD_STRENGTH.sub("", text)))


def leading_identifier(text: str) -> str:
    """Return a name up to the end of its first word with a number; empty if there is none.

    >>> leading_identifier("case_001_brain"), leading_identifier("002_S_0295")
    ('case_001', '002')
    """
    match = next((match for match in _WORD.finditer(text) if has_subject_number(match.group())), None)
    return "" if match is None else text[: match.end()]


def _without(name: str, start: int, end: int, number: str) -> NumberedName:
    before, after = name[:start].rstrip(SEPARATORS + "#"), name[end:].lstrip(SEPARATORS + "#")
    return NumberedName("_".join(filter(None, (before, after))), number)
