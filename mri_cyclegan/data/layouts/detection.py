"""Detects the layout of a data set."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mri_cyclegan.data.formats.dicom import series_files
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.formats.registry import IMAGE_SUFFIXES, VOLUME_SUFFIXES
from mri_cyclegan.data.formats.unsupported import skipped_image_findings
from mri_cyclegan.data.layouts.bids import is_bids
from mri_cyclegan.data.layouts.contrast_names import known_contrasts
from mri_cyclegan.data.layouts.numbers import has_subject_number
from mri_cyclegan.data.layouts.pattern_proposal import propose_patterns
from mri_cyclegan.data.layouts.scan import PART_NAMES, split_part_named
from mri_cyclegan.data.layouts.settings import LayoutSettings
from mri_cyclegan.data.walking import is_folder, walk

BIDS_CONTRASTS = ("T1w", "T2w")
_PART_AND_CONTRAST = re.compile(
    rf"({'|'.join(name for names in PART_NAMES.values() for name in names)})[-_]?(?P<contrast>.+)", re.IGNORECASE
)


def layout_from_options(
    root: Path,
    layout: str | None,
    contrasts: Sequence[str] | None,
    pattern_a: str | None,
    pattern_b: str | None,
) -> LayoutSettings:
    """Return the layout that the command-line options give; detect what they leave open from the folder.

    Raises:
        ValueError: an option is missing or contradicts another, or the folder is not a data set.
    """
    patterns = {"--pattern-a": pattern_a, "--pattern-b": pattern_b}
    missing = [option for option, pattern in patterns.items() if pattern is None]
    if len(missing) == 2:
        return detect_layout(root, layout, contrasts)
    if missing:
        raise ValueError(f"{missing[0]} is missing: each contrast needs a pattern of its own.")
    if layout not in (None, "pattern"):
        raise ValueError(f"--layout {layout}: patterns go with --layout pattern alone.")
    return LayoutSettings("pattern", tuple(contrasts or BIDS_CONTRASTS), pattern_a=pattern_a, pattern_b=pattern_b)


def detect_layout(root: Path, layout: str | None = None, contrasts: Sequence[str] | None = None) -> LayoutSettings:
    """Detect the layout and contrasts of a data set, unless the user gives them.

    Args:
        root: folder of the data set, or of one BIDS subject.
        layout: the user's choice, or None to detect it.
        contrasts: the user's choice, or None to detect them.

    Raises:
        ValueError: the folder is missing, or not a data set; the message says what it looks like instead.
    """
    if not is_folder(root):
        raise ValueError(f"{root} is not a folder. Give the folder of a data set.")
    if layout == "bids" or (layout is None and is_bids(root)):
        return LayoutSettings("bids", tuple(contrasts or BIDS_CONTRASTS))
    kinds = _contrasts_with_kinds(root)
    if layout != "pattern":
        chosen = tuple(contrasts or _named_contrasts(kinds, layout))
        found = {kinds[name] for name in chosen if name in kinds}
        if layout is None and len(found) == 1:
            return LayoutSettings(found.pop(), chosen)
        if layout is not None:
            return LayoutSettings(layout, chosen or _only_two_folders(kinds, layout) or BIDS_CONTRASTS)
    nested = _nested_data_sets(root)
    if nested and not all(has_subject_number(folder.name) for folder in nested):  # else each is one subject's folder
        raise ValueError(f"{root} holds data sets. Verify one of them:{''.join(nested.values())}")
    if proposed := propose_patterns(root):
        return proposed if contrasts is None else replace(proposed, contrasts=tuple(contrasts))
    if two := _only_two_folders(kinds, layout):
        return LayoutSettings(kinds[two[0]], two)
    raise ValueError(f"{root} is no data set: {_explain(root, kinds)}")


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if is_folder(path) and not path.name.startswith("."))


def _contrasts_with_kinds(root: Path) -> dict[str, str]:
    """Map the name of each folder that may hold a contrast, also below folders of split parts, to its layout."""
    kinds: dict[str, str] = {}
    for folder in _folders(root):
        if split_part_named(folder.name):
            named = [(below.name, below) for below in _folders(folder)]
        elif match := _PART_AND_CONTRAST.fullmatch(folder.name):
            named = [(match["contrast"], folder)]
        else:
            named = [(folder.name, folder)]
        for name, of_contrast in named:
            if name not in kinds and (kind := _layout_of_first_image(of_contrast)):
                kinds[name] = kind
    return kinds


def _layout_of_first_image(folder: Path) -> str | None:
    """Return the layout that the first image below a folder indicates."""
    for found, files in walk(folder, []):
        for path in files:
            if path.name.lower().endswith(VOLUME_SUFFIXES):
                return "folder"
            if path.name.lower().endswith(PICTURE_SUFFIXES):
                return "png"
        if series_files(found):
            return "dicom"
    return None


def _named_contrasts(kinds: dict[str, str], layout: str | None) -> tuple[str, ...]:
    """Return the folders of T1w and T2w, or the only two folders if both name a known contrast."""
    names = [name for name, kind in kinds.items() if layout in (None, kind)]
    if set(BIDS_CONTRASTS) <= set(names):
        return BIDS_CONTRASTS
    of_contrast = [[name for name in names if known_contrasts(name) == {number}] for number in (0, 1)]
    if all(len(found) == 1 for found in of_contrast):
        chosen = (of_contrast[0][0], of_contrast[1][0])
    elif len(names) == 2 and all(map(known_contrasts, names)):
        chosen = (names[0], names[1])
    else:
        return ()
    return chosen if len({kinds[name] for name in chosen}) == 1 else ()


def _only_two_folders(kinds: dict[str, str], layout: str | None) -> tuple[str, ...]:
    """Return the only two folders with images of one kind, unless numbers in their names indicate two subjects."""
    names = [name for name, kind in kinds.items() if layout in (None, kind)]
    alike = len(names) == 2 and len({kinds[name] for name in names}) == 1
    return tuple(names) if alike and not any(map(has_subject_number, names)) else ()


def _nested_data_sets(root: Path) -> dict[Path, str]:
    """Map each subfolder that is itself a data set (BIDS or one folder per contrast) to a line that says so."""
    nested = {}
    for folder in _folders(root):
        try:
            kinds = {} if is_bids(folder) else _contrasts_with_kinds(folder)
        except OSError as error:
            problem = f"{error.filename} cannot be listed ({error.strerror}). Give yourself permission to read it."
            raise ValueError(f"{root} is no data set: {problem}") from error
        contrasts = _named_contrasts(kinds, None) if kinds else BIDS_CONTRASTS if is_bids(folder) else ()
        if contrasts:
            layout = kinds[contrasts[0]] if kinds else "bids"
            nested[folder] = f"\n  {folder} ({layout}, {' and '.join(contrasts)})"
    return nested


def _explain(root: Path, kinds: dict[str, str]) -> str:
    if kinds:
        return (
            f"it holds images in {', '.join(kinds)}. Name the two contrasts' folders with --contrasts A,B, or their "
            "files with --pattern-a and --pattern-b."
        )
    if unread := [finding for _, files in walk(root, []) for finding in skipped_image_findings(files, IMAGE_SUFFIXES)]:
        return f"it holds images that are not read. {unread[0]}"
    return "no images were found in it. Expected BIDS (sub-*/anat), or one folder per contrast."
