"""Assigns a subject to each scan, from its path.

A subject must never be in two parts of a split, nor in both training domains unnoticed. So scans that could be of one
subject are treated as one subject's, and ambiguous names cause a warning.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import NamedTuple

from mri_cyclegan.data.formats.registry import strip_suffix
from mri_cyclegan.data.layouts.contrast_names import SEPARATORS, names_of, strip_contrast
from mri_cyclegan.data.layouts.numbers import has_subject_number, leading_identifier, split_number
from mri_cyclegan.data.layouts.scan import normalize_unicode

REMEDY = r"Set data.subject_pattern to a regular expression whose group is the subject, such as '(sub-\d+)'."

# Folders that name a visit, a scanner or a kind of image, not a subject.
_NO_SUBJECT = re.compile(
    r"(ses|session|visit|scan|run|day|tp|timepoint|month|week|year)[-_ ]?\d*|\d(\.\d+)?t|anat|nifti|dicom|unprocessed",
    re.IGNORECASE,
)
_VISIT = re.compile(
    rf"[{SEPARATORS}]?(?<![^\W_])(ses-[^\W_]+|(?:session|visit|timepoint|tp)[-_ ]?\d+)(?![^\W_])", re.IGNORECASE
)
_CHANNEL = re.compile(r"[-_](\d{4})$")

# With at least this many different beginnings, such as names of people, pictures are assigned to subjects by them.
_MIN_BEGINNINGS = 3

# With this many scans of a contrast, a folder without a number in its name may be a site's, not a subject's.
_MANY_SCANS = 3


@dataclass(frozen=True)
class Place:
    """Contrast and relative path of a scan.

    Attributes:
        contrast: contrast of the scan.
        relative: its path below its contrast's folder or, if there is none, below the data set's.
        is_picture: whether it is a single slice.
    """

    contrast: str
    relative: PurePath
    is_picture: bool = False


class Identity(NamedTuple):
    """Subject and session of a scan, and whether its path identifies the subject."""

    subject: str
    session: str
    is_known: bool


class Identities(NamedTuple):
    """One identity per place, and warnings about them, one sentence each."""

    identities: list[Identity]
    warnings: list[str]


@dataclass(frozen=True)
class _Name:
    """What a path says about the subject: the rest of a folder or file name, and where it came from."""

    contrast: str
    text: str
    session: str
    is_stem: bool = False
    is_picture: bool = False
    is_entity: bool = False
    is_known: bool = True


def assign_subjects(
    places: Sequence[Place], contrasts: Sequence[str], pattern: str | None, names_identify: bool | None
) -> Identities:
    """Assign a subject to each scan, considering all scans of a data set together.

    The subject is the BIDS entity ``sub-`` anywhere in the path; else the first folder with a number in its name, or
    the first folder; else the file's name. Contrasts are dropped from it, wherever they stand, and so is the number of
    a slice or visit if several such numbers follow one identifier.

    Args:
        places: places of the scans of both contrasts.
        contrasts: (a, b).
        pattern: regular expression whose first group is the subject; it overrides all other rules.
        names_identify: see :class:`mri_cyclegan.data.layouts.settings.LayoutSettings`.

    Raises:
        ValueError: the pattern is wrong, or finds no subject in a path.
    """
    if pattern is not None:
        return Identities([_by_pattern(place, pattern) for place in places], [])
    names = [_name_of(place, contrasts) for place in places]
    if names_identify is False:
        return Identities([Identity(f"{name.contrast}/{name.text}", name.session, False) for name in names], [])
    names, warnings = _drop_contrast_words(_without_channels(names, contrasts), contrasts)
    names = _unify_case(_without_numbers(names, names_identify))
    warnings += [*_many_scans_warnings(names, places), *_shared_prefix_warnings(names)]
    return Identities([_identity(name, names_identify) for name in names], warnings)


def _identity(name: _Name, names_identify: bool | None) -> Identity:
    if name.is_known or names_identify:
        return Identity(name.text, name.session, True)
    return Identity(f"{name.contrast}/{name.text}", name.session, False)


def _by_pattern(place: Place, pattern: str) -> Identity:
    relative = normalize_unicode(str(place.relative))
    try:
        match = re.search(pattern, relative)
    except re.error as error:
        raise ValueError(f"data.subject_pattern: {pattern!r} is no regular expression ({error}).") from error
    if match is None or not match.groups() or not match.group(1):
        raise ValueError(
            f"data.subject_pattern: {pattern!r} finds no subject in {relative}; "
            r"expected a regular expression with one group, such as '(sub-\d+)'."
        )
    return Identity(match.group(1), _session(place), True)


def _session(place: Place) -> str:
    parts = (*place.relative.parts[:-1], strip_suffix(place.relative.name))
    found = (_VISIT.search(normalize_unicode(part)) for part in parts)
    return next((match[1] for match in found if match), "")


def _strip_contrast_and_visit(part: str, contrasts: Sequence[str]) -> str:
    """Return a folder or file name without contrasts and visits."""
    return strip_contrast(_VISIT.sub("", part).strip(SEPARATORS) or part, *contrasts)


def _name_of(place: Place, contrasts: Sequence[str]) -> _Name:
    folders = [normalize_unicode(part) for part in place.relative.parts[:-1]]
    stem = normalize_unicode(strip_suffix(place.relative.name))
    for part in (*folders, stem):
        if match := re.search(r"(?<![^\W_])sub-[^\W_]+", part):
            return _Name(place.contrast, match.group(), _session(place), is_entity=True)
    names = {name for contrast in contrasts for name in names_of(contrast)}
    stripped = [(folder, _strip_contrast_and_visit(folder, contrasts)) for folder in folders]
    candidates = [
        text
        for folder, text in stripped
        if text.lower() not in names
        and not _NO_SUBJECT.fullmatch(text)
        and (folder == text or has_subject_number(text))
    ]
    folder = next(filter(has_subject_number, candidates), next(iter(candidates), None))
    if folder is not None:
        return _Name(place.contrast, folder, _session(place))
    text = _strip_contrast_and_visit(stem, contrasts)
    return _Name(place.contrast, text, _session(place), is_stem=True, is_picture=place.is_picture)


def _without_channels(names: list[_Name], contrasts: Sequence[str]) -> list[_Name]:
    """Drop nnU-Net's channel, such as ``_0000``: the same four digits at the end of all names of a contrast."""
    channels = []
    for contrast in contrasts:
        ends = {(match := _CHANNEL.search(name.text)) and match[1] for name in names if name.contrast == contrast}
        channels.append(ends.pop() if len(ends) == 1 else None)
    if None in channels or channels[0] == channels[1]:
        return names
    return [name if name.is_entity else replace(name, text=_CHANNEL.sub("", name.text)) for name in names]


def _drop_contrast_words(names: list[_Name], contrasts: Sequence[str]) -> tuple[list[_Name], list[str]]:
    """Drop words found in all names of one contrast and none of the other, if the contrasts then share names."""
    of_contrast = [
        [name for name in names if name.contrast == contrast and not name.is_entity] for contrast in contrasts
    ]
    if min(len({name.text for name in some}) for some in of_contrast) < 3:
        return names, []
    everywhere = [set.intersection(*(set(_words(name.text)) for name in some)) for some in of_contrast]
    anywhere = [{word for name in some for word in _words(name.text)} for some in of_contrast]
    markers = dict(zip(contrasts, (everywhere[0] - anywhere[1], everywhere[1] - anywhere[0]), strict=True))
    without = [
        name if name.is_entity else replace(name, text=_drop(name.text, markers[name.contrast])) for name in names
    ]
    texts = [{name.text for name in without if name.contrast == contrast} for contrast in contrasts]
    if not any(markers.values()) or not (texts[0] & texts[1]):
        return names, []
    told = " and ".join(f"{' '.join(sorted(words)) or 'nothing'} in {contrast}" for contrast, words in markers.items())
    example = next(name.text for name in without if name.text in texts[0] & texts[1])
    warning = f"names differ only in {told}, so equal rests such as {example} are taken for one person"
    return without, [warning]


def _without_numbers(names: list[_Name], names_identify: bool | None) -> list[_Name]:
    """Drop the number of a slice or visit; a picture named by a bare number has no known subject."""
    split = [None if name.is_entity else split_number(name.text, name.is_stem and name.is_picture) for name in names]
    numbers: dict[str, set[str]] = defaultdict(set)
    for parts in split:
        if parts is not None:
            numbers[parts.rest.casefold()].add(parts.number)
    identifying = {rest for rest in numbers if has_subject_number(rest)}
    several = len(identifying) >= 2
    named = several or len({rest for rest in numbers if rest}) >= _MIN_BEGINNINGS
    result = []
    for name, parts in zip(names, split, strict=True):
        rest = "" if parts is None else parts.rest.casefold()
        is_picture = name.is_stem and name.is_picture
        if parts is not None and is_picture and rest and (rest in identifying if several else named):
            result.append(replace(name, text=parts.rest))
        elif parts is not None and not is_picture and several and rest in identifying and len(numbers[rest]) > 1:
            result.append(replace(name, text=parts.rest, session=name.session or parts.number))
        else:
            result.append(replace(name, is_known=not is_picture or parts is None or bool(names_identify)))
    return result


def _unify_case(names: list[_Name]) -> list[_Name]:
    """Replace spellings that differ only in case by the first of them in sorted order."""
    spelling: dict[str, str] = {}
    for text in sorted({name.text for name in names if name.is_known}):
        spelling.setdefault(text.casefold(), text)
    return [replace(name, text=spelling.get(name.text.casefold(), name.text)) for name in names]


def _many_scans_warnings(names: Sequence[_Name], places: Sequence[Place]) -> list[str]:
    """Warn about folders without a number in their name that hold many numbered scans of a contrast."""
    stems: dict[str, set[str]] = defaultdict(set)
    for name, place in zip(names, places, strict=True):
        text = strip_suffix(place.relative.name)
        if not (
            name.is_stem or name.is_entity or place.is_picture or has_subject_number(name.text)
        ) and has_subject_number(text):
            stems[f"{name.text} ({name.contrast})"].add(text)
    many = sorted(folder for folder, found in stems.items() if len(found) >= _MANY_SCANS)
    return (
        [f"the folder {many[0]} is taken for one person, though it holds {len(stems[many[0]])} scans"] if many else []
    )


def _shared_prefix_warnings(names: Sequence[_Name]) -> list[str]:
    """Warn about subjects whose names begin with the same identifier, if only few do."""
    subjects: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if name.is_known and not name.is_entity and (start := leading_identifier(name.text)):
            subjects[start.casefold()].add(name.text)
    shared = sorted((start for start, found in subjects.items() if len(found) > 1))
    if len(subjects) < 3 or not shared or sum(map(len, subjects.values())) > 4 * len(subjects):
        return []
    some = " and ".join(sorted(subjects[shared[0]])[:2])
    return [f"{some} are taken for different people ({len(shared)} such beginnings in {len(subjects)})"]


def _words(text: str) -> Iterable[str]:
    return re.findall(r"[^\W_]+", text)


def _drop(text: str, words: set[str]) -> str:
    kept = text
    for word in words:
        kept = re.sub(rf"[{SEPARATORS}]?(?<![^\W_]){re.escape(word)}(?![^\W_])", "", kept)
    return kept.strip(SEPARATORS) or text
