"""Recognizes contrasts in the names of files and folders."""

import re
from collections.abc import Sequence
from functools import lru_cache

# Synonyms of each contrast, lower case. MPRAGE and SPGR are T1-weighted by design; TSE and SPACE may be either.
SYNONYMS = (
    ("t1w", "t1", "t1n", "t1wi", "mprage", "spgr"),
    ("t2w", "t2", "t2wi"),
    ("t1c", "t1ce", "t1gd", "t1post"),
    ("flair", "t2f", "t2flair"),
    ("pdw", "pd"),
)

SEPARATORS = "-_ ."

# Characters of a word in a name: letters and digits of any script, no underscore.
_ALPHANUMERIC = r"[^\W_]"


def names_of(contrast: str) -> tuple[str, ...]:
    """Return all names of a contrast, lower case, longest first.

    >>> names_of("PD"), names_of("IXI-T1")[:2]
    (('pdw', 'pd'), ('ixi-t1', 'mprage'))
    """
    words = re.findall(rf"{_ALPHANUMERIC}+", contrast.lower())
    families = [family for word in words for family in SYNONYMS if word in family]
    return tuple(sorted({contrast.lower(), *(families[-1] if families else ())}, key=lambda name: (-len(name), name)))


def known_contrasts(name: str) -> set[int]:
    """Return the indices of the :data:`SYNONYMS` that a name mentions."""
    return {number for number, family in enumerate(SYNONYMS) if names_contrast(name, family[0])}


def strip_contrast(stem: str, *contrasts: str) -> str:
    """Drop contrasts anywhere in a name: ``IXI002-T1-Guys`` identifies a subject, not a T1 scan.

    >>> strip_contrast("sub-012_T1w", "T1w"), strip_contrast("T1_012 brain", "T1w"), strip_contrast("T1w", "T1w")
    ('sub-012', '012 brain', 'T1w')
    >>> strip_contrast("bart1", "T1w"), strip_contrast("IXI002T1", "T1w")
    ('bart1', 'IXI002')
    """
    return _mention(contrasts).sub("", stem).strip(SEPARATORS) or stem


def names_contrast(stem: str, contrast: str) -> bool:
    """Whether a name mentions a contrast as a separate word.

    >>> names_contrast("sub-012_T1w_brain", "T1w"), names_contrast("T1", "T1w"), names_contrast("bart1", "T1w")
    (True, True, False)
    """
    return _mention((contrast,)).search(stem) is not None


def contrast_named(name: str, contrasts: Sequence[str]) -> int | None:
    """Return the index of the one contrast that a name ends with, or else mentions; None if there are none or several.

    >>> contrast_named("T1w_to_T2w", ("T1w", "T2w")), contrast_named("IXI002-T1-Guys", ("T1w", "T2w"))
    (1, 0)
    """
    mentions = [list(_mention((contrast,)).finditer(name)) for contrast in contrasts]
    for found in (
        [any(match.end() == len(name) for match in of_one) for of_one in mentions],
        list(map(bool, mentions)),
    ):
        if sum(found) == 1:
            return found.index(True)
    return None


def last_mention(name: str, contrasts: Sequence[str]) -> re.Match[str] | None:
    """Return the last mention of any of the contrasts, with the separator before it; None if there is none."""
    return max(_mention(tuple(contrasts)).finditer(name), key=lambda match: match.end(), default=None)


@lru_cache(maxsize=256)
def _mention(contrasts: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for any of the contrasts as a word, with the separator before it.

    No letter or digit may follow the word. It may follow a digit (``IXI002T1``) or, if capitalized, a lower-case
    letter (``annaT1``). The value of a BIDS entity (``space-T2w``) does not count as a mention.
    """
    names = "|".join(re.escape(name) for contrast in contrasts for name in names_of(contrast))
    capitals = "|".join(re.escape(name.capitalize()) for contrast in contrasts for name in names_of(contrast))
    other_entity = "".join(rf"(?<!{key}-)" for key in ("space", "acq", "rec", "desc", "sub", "ses"))
    word = rf"{other_entity}(?<!{_ALPHANUMERIC})(?i:{names})"
    return re.compile(rf"[{SEPARATORS}]?(?:{word}|(?<=\d)(?i:{names})|(?<=[a-z])(?:{capitals}))(?!{_ALPHANUMERIC})")
