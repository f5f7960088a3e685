"""Finds scans in any layout, by one path pattern per contrast."""

import re
from pathlib import Path, PurePath

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.formats.registry import IMAGE_SUFFIXES
from mri_cyclegan.data.formats.unsupported import skipped_image_findings
from mri_cyclegan.data.layouts.scan import Found, split_part_named
from mri_cyclegan.data.layouts.settings import LayoutSettings
from mri_cyclegan.data.layouts.subject_assignment import build_scans
from mri_cyclegan.data.layouts.subjects import Place
from mri_cyclegan.data.walking import walk


def find_by_pattern(root: Path, settings: LayoutSettings) -> Found:
    """Find the files that match a contrast's pattern; the first folder may name a part of a split.

    Raises:
        ValueError: a file matches both patterns.
    """
    findings: list[Finding] = []
    matchers = [path_matcher(pattern) for pattern in settings.patterns]
    literal = [_literal_folders(pattern) for pattern in settings.patterns]
    entries = []
    for _, files in walk(root, findings):
        passed_over: list[Path] = []
        for path in files:
            relative = path.relative_to(root)
            matches = [number for number, matcher in enumerate(matchers) if matcher.fullmatch(relative.as_posix())]
            if len(matches) > 1:
                raise ValueError(
                    f"{path} matches both data.pattern_a={settings.pattern_a} and data.pattern_b={settings.pattern_b}. "
                    "Make them exclude each other."
                )
            if not matches:
                continue
            if not path.name.lower().endswith(IMAGE_SUFFIXES):
                passed_over.append(path)
                continue
            part = split_part_named(relative.parts[0]) if len(relative.parts) > 1 else ""
            folders = [name for name in relative.parts[bool(part) : -1] if name not in literal[matches[0]]]
            is_picture = path.name.lower().endswith(PICTURE_SUFFIXES)
            place = Place(settings.contrasts[matches[0]], PurePath(*folders, path.name), is_picture)
            entries.append((path, part, place))
        findings += skipped_image_findings(passed_over, IMAGE_SUFFIXES)
    return build_scans(root, entries, settings, findings)


def path_matcher(pattern: str) -> re.Pattern[str]:
    """Compile a pattern: ``*`` and ``?`` match within a folder, ``**`` across folders, ``[ab]`` either a or b.

    >>> [path_matcher(pattern).fullmatch("a/b_T1.nii") is not None for pattern in ("**/*_T1.nii", "*_T1.nii", "?/b*")]
    [True, False, True]
    """
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    split = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    text = "".join(
        tokens.get(token, token if token.startswith("[") and len(token) > 2 else re.escape(token)) for token in split
    )
    return re.compile(text, re.DOTALL)


def _literal_folders(pattern: str) -> set[str]:
    """Return the folders without wildcards: they are the same in every path, so they cannot name a subject."""
    return {name for name in pattern.split("/")[:-1] if not re.search(r"[*?\[]", name)}
