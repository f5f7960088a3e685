"""One scan of a data set: its subject and its path."""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.registry import strip_suffix
from mri_cyclegan.data.layouts.contrast_names import SYNONYMS, strip_contrast

# Part of a split to the possible names of its folder.
PART_NAMES = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "ts"),
}


@dataclass(frozen=True, order=True)
class Scan:
    """One image file and its subject.

    Attributes:
        subject: the person scanned; data sets are split by subject.
        session: visit of the subject; empty if unknown.
        contrast: name from ``data.contrasts``.
        path: the file, or the folder of a DICOM series.
        part: ``"train"``, ``"val"`` or ``"test"`` if the data set has a folder for each; else empty.
        is_subject_known: False if the subject is in doubt, or unknown and made up for this scan alone.
    """

    subject: str
    session: str
    contrast: str
    path: Path
    part: str = field(default="", compare=False)
    is_subject_known: bool = field(default=True, compare=False)

    @property
    def stem(self) -> str:
        """File name without extension and contrast: equal for two contrasts acquired or registered together."""
        return strip_contrast(normalize_unicode(strip_suffix(self.path.name)), self.contrast)

    @property
    def place(self) -> tuple[str, ...]:
        """Folders and stem, without contrasts: equal for two contrasts stored side by side."""
        contrasts = (self.contrast, *(family[0] for family in SYNONYMS))
        parts = (*self.path.parent.parts, strip_suffix(self.path.name))
        stripped = (
            "" if part == self.contrast else strip_contrast(normalize_unicode(part), *contrasts) for part in parts
        )
        # strip_contrast keeps names that are only a contrast; drop them, so that "T1w" and "T2w" are one place, too.
        known = {name for family in SYNONYMS for name in family}
        return tuple("" if part.lower() in known else part for part in stripped)


class Found(NamedTuple):
    """Scans of a data set, sorted, and what the user should know about the search.

    Attributes:
        scans: scans that are used.
        findings: what could not be searched, what is ambiguous, and images that are not what they seem.
        left_out: scans of the contrasts that the user's filter excludes.
    """

    scans: list[Scan]
    findings: list[Finding]
    left_out: list[Path] = []  # noqa: RUF012


def normalize_unicode(name: str) -> str:
    """Return a name in Unicode's composed form: some file systems decompose letters such as ``é``."""
    return unicodedata.normalize("NFC", name)


def split_part_named(folder: str) -> str:
    """Return the part of a split that a folder's name stands for; empty if none.

    >>> split_part_named("Training"), split_part_named("T1w")
    ('train', '')
    """
    return next((part for part, names in PART_NAMES.items() if folder.lower() in names), "")
