"""Proposes path patterns for data sets without one folder per contrast."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mri_cyclegan.data.formats.registry import IMAGE_SUFFIXES, strip_suffix
from mri_cyclegan.data.layouts.contrast_names import (
    SYNONYMS,
    known_contrasts,
    last_mention,
)
from mri_cyclegan.data.layouts.patterns import path_matcher
from mri_cyclegan.data.layouts.settings import LayoutSettings
from mri_cyclegan.data.walking import walk

# Name of each contrast in SYNONYMS, in the same order.
_CONTRAST_NAMES = ("T1w", "T2w", "T1c", "FLAIR", "PD")

# Fraction of all combinations of subject and name ending that must exist for the endings to mean kinds of image.
MIN_FILLED = 0.5

_CHANNEL = re.compile(r"_(\d{4})$")


def propose_patterns(root: Path) -> LayoutSettings | None:
    """Propose patterns for T1w and T2w images, or for the only two contrasts of a data set; None if it has neither."""
    paths = [
        PurePosixPath(path.relative_to(root).as_posix())
        for _, files in walk(root, [])
        for path in files
        if path.name.lower().endswith(IMAGE_SUFFIXES)
    ]
    groups = _by_contrast(paths) or _by_nnunet_channel(paths, root)
    names = [name for name in ("T1w", "T2w") if name in groups]
    chosen = names if len(names) == 2 else list(groups) if len(groups) == 2 else []
    if not chosen:
        return None
    patterns = [_pattern(groups[name]) for name in chosen]
    if patterns[0] == patterns[1]:
        return None
    return LayoutSettings("pattern", tuple(chosen), pattern_a=patterns[0], pattern_b=patterns[1])


def _by_contrast(paths: Sequence[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """Group paths by the one contrast that the file name, or else the nearest folder name, mentions."""
    groups: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in paths:
        for part in (strip_suffix(path.name), *reversed(path.parent.parts)):
            if known := known_contrasts(part):
                if len(known) == 1:
                    groups[_CONTRAST_NAMES[known.pop()]].append(path)
                break
    return dict(groups)


def _by_nnunet_channel(paths: Sequence[PurePosixPath], root: Path) -> dict[str, list[PurePosixPath]]:
    """Group paths by nnU-Net channel, under the name given in ``dataset.json``."""
    groups: dict[str, list[PurePosixPath]] = defaultdict(list)
    named = _channel_names(root)
    for path in paths:
        if match := _CHANNEL.search(strip_suffix(path.name)):
            name = named.get(int(match[1]), match[1])
            known = known_contrasts(name)
            groups[_CONTRAST_NAMES[known.pop()] if len(known) == 1 else name].append(path)
    return dict(groups)


def _channel_names(root: Path) -> dict[int, str]:
    try:
        content = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
        names = content.get("channel_names") or content.get("modality") or {}
        return {int(number): str(name) for number, name in names.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _pattern(paths: Sequence[PurePosixPath]) -> str:
    """Return the pattern that most paths produce; of several, the most specific, then the shortest."""
    by_depth = defaultdict(list)
    for path in paths:
        by_depth[len(path.parts)].append(path)
    candidates = Counter(pattern for of_depth in by_depth.values() for pattern in _patterns_of(of_depth))
    matches = {one: sum(bool(path_matcher(one).fullmatch(str(path))) for path in paths) for one in candidates}
    # Count the paths that produced a pattern, not its matches: an extra star matches more paths than intended.
    return max(candidates, key=lambda one: (candidates[one], -matches[one], -len(one), one))


def _patterns_of(paths: Sequence[PurePosixPath]) -> list[str]:
    """Return a pattern for each path, all of one depth: parts that differ between paths become a star."""
    values = [{path.parts[depth] for path in paths} for depth in range(len(paths[0].parts))]
    names = [_NameParts.of(path.name) for path in paths]
    people = {(path.parent, name.before) for path, name in zip(paths, names, strict=True)}
    kinds = {name.after for name in names}
    # If each subject has several images ("", "_brain"), the text after the contrast distinguishes them. If each has
    # only one of many such endings, for example a site, the ending says nothing about the image.
    keep_after = len(kinds) == 1 or (len(people) > 1 and len(paths) >= MIN_FILLED * len(people) * len(kinds))
    patterns = []
    for path, name in zip(paths, names, strict=True):
        folders = [_escaped(part) if len(values[depth]) == 1 else "*" for depth, part in enumerate(path.parts[:-1])]
        last = _escaped(path.name) if len(values[-1]) == 1 else name.pattern(keep_after)
        patterns.append("/".join((*folders, last)))
    return patterns


class _NameParts(NamedTuple):
    """A file name split at its contrast or channel."""

    before: str
    contrast: str
    after: str
    suffix: str

    @classmethod
    def of(cls, name: str) -> "_NameParts":
        stem = strip_suffix(name)
        mention = last_mention(stem, [family[0] for family in SYNONYMS]) or _CHANNEL.search(stem)
        start, end = mention.span() if mention else (len(stem), len(stem))
        return cls(stem[:start], stem[start:end], stem[end:], name[len(stem) :])

    def pattern(self, keep_after: bool) -> str:
        """Turn ``sub-01_T1w_brain.nii.gz`` into ``*_T1w_brain.nii.gz``, ``T1w_sub-01.nii.gz`` to ``T1w_*.nii.gz``."""
        after = _escaped(self.after) if keep_after else re.sub(r"(?<=[-_ .]).*|^[^-_ .].*", "*", self.after)
        return f"{'*' if self.before else ''}{_escaped(self.contrast)}{after}{self.suffix}"


def _escaped(text: str) -> str:
    return re.sub(r"[*?\[]", "?", text)
