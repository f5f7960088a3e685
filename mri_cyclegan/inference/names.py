"""BIDS-style names of translations: ``sub-07_T1w.nii.gz`` becomes ``sub-07_desc-synth_T2w.nii.gz``."""

import re
from pathlib import Path

from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.layouts import names_contrast, strip_contrast, strip_suffix

PICTURE_OUTPUT = ".png"
LABEL, STD = "synth", "spread"

_TRANSLATION_NAME = re.compile(rf"_?desc-[A-Za-z0-9]*{LABEL}(?P<spread>{STD})?_(?P<contrast>.*)$", re.IGNORECASE)


def name_of_translation(source: Path, source_contrast: str, target: str) -> str:
    """File name of a scan's translation.

    Args:
        source: file or DICOM series folder.
        source_contrast: contrast of the scan.
        target: contrast of the translation.

    >>> name_of_translation(Path("sub-07_desc-preproc_T1w.nii"), "T1w", "T2w")
    'sub-07_desc-preprocSynth_T2w.nii'
    >>> name_of_translation(Path("sub-07_T1w.mgz"), "T1w", "T2w")
    'sub-07_desc-synth_T2w.nii.gz'
    """
    stem = strip_suffix(source.name)
    suffix = source.name[len(stem) :].lower()
    if source.is_dir() or suffix not in NIFTI_SUFFIXES:
        suffix = PICTURE_OUTPUT if suffix in PICTURE_SUFFIXES else ".nii.gz"
    words = strip_contrast(stem, source_contrast)
    if words == stem and names_contrast(stem, source_contrast):
        words = ""  # the name is the contrast
    label = LABEL
    if described := re.search(r"(?:^|_)desc-([A-Za-z0-9]+)(?=_|$)", words):  # an entity may occur only once in a name
        label = described[1] + LABEL.capitalize()
        words = (words[: described.start()] + words[described.end() :]).strip("_")
    return "_".join(filter(None, (words, f"desc-{label}", target))) + suffix


def name_of_std(name: str) -> str:
    """File name of a translation's standard deviation.

    >>> name_of_std("a_desc-synth_T2w.nii.gz"), name_of_std("mine.png")
    ('a_desc-synthspread_T2w.nii.gz', 'mine_spread.png')
    """
    if _TRANSLATION_NAME.search(strip_suffix(name)):
        return re.sub(rf"(desc-[A-Za-z0-9]*{LABEL})_", rf"\1{STD}_", name, count=1, flags=re.IGNORECASE)
    stem = strip_suffix(name)
    return f"{stem}_{STD}{name[len(stem) :]}"


def name_of_sidecar(name: str) -> str:
    """File name of the JSON file beside an image."""
    return strip_suffix(name) + ".json"


def is_translation(name: str) -> bool:
    """Whether a file name marks a translation or its standard deviation."""
    return _TRANSLATION_NAME.search(strip_suffix(name)) is not None


def is_std(name: str) -> bool:
    """Whether a file name marks the standard deviation of a translation."""
    found = _TRANSLATION_NAME.search(strip_suffix(name))
    return found is not None and found["spread"] is not None


def contrast_of_translation(name: str) -> str | None:
    """Contrast at the end of a translation's file name; None if the name does not mark a translation.

    >>> contrast_of_translation("sub-07_desc-synth_T2w.nii.gz")
    'T2w'
    """
    found = _TRANSLATION_NAME.search(strip_suffix(name))
    return None if found is None else found["contrast"]


def ground_truth_stems(name: str) -> tuple[str, str]:
    """Possible file stems of a translation's ground truth: with the contrast, or without if a folder names it.

    >>> ground_truth_stems("sub-07_desc-synth_T2w.nii.gz")
    ('sub-07_T2w', 'sub-07')
    """
    stem = strip_suffix(name)
    return _TRANSLATION_NAME.sub(r"_\g<contrast>", stem).lstrip("_"), _TRANSLATION_NAME.sub("", stem)
