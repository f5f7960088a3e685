"""Settings for finding the scans of a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mri_cyclegan.data.layouts.entities import FilterValue, checked_filters

# Layout to the paths searched for below the data set's folder.
SEARCH_PATHS = {
    "bids": "sub-*/[ses-*/]anat/*_{contrast}.nii[.gz]",
    "folder": "{contrast}/**/*.nii[.gz]",
    "png": "{contrast}/**/*.png or *.jpg",
    "dicom": "{contrast}/<subject>/**/ with DICOM files",
    "pattern": "{pattern}",
}
LAYOUTS = tuple(SEARCH_PATHS)


@dataclass(frozen=True)
class LayoutSettings:
    """How scans are found and assigned to subjects; each attribute is a key of the config group ``data``.

    Attributes:
        layout: ``"bids"``: ``sub-*/[ses-*/]anat/*_<contrast>.nii[.gz]``; ``"folder"``: volumes in one folder per
            contrast, at any depth; ``"png"``: the same with PNG or JPEG files, each one slice; ``"dicom"``: the same
            with folders of DICOM files, each one series; ``"pattern"``: whatever ``pattern_a`` and ``pattern_b`` match.
        contrasts: names of the two contrasts, (a, b): BIDS suffixes, or names of the folders.
        subject_pattern: regular expression whose first group is the subject in a path below its contrast's folder. If
            None, subjects come from names, see :mod:`mri_cyclegan.data.layouts.subjects`.
        names_identify_subjects: whether equal names mean the same subject. If False, each file is a separate subject
            and there are no pairs. If None, names decide: a picture named by a bare number has no known subject.
        bids_filters: contrast to the BIDS entities that its scans must have, such as ``{"T1w": {"acq": "highres"}}``;
            a list allows several values, None requires that the entity is absent.
        pattern_a: paths of contrast a below the data set's folder, with ``*`` and ``**``.
        pattern_b: the same for contrast b.

    Raises:
        ValueError: a value is wrong, or does not apply to the layout; the message names the key.
    """

    layout: str
    contrasts: tuple[str, ...]
    subject_pattern: str | None = None
    names_identify_subjects: bool | None = None
    bids_filters: Mapping[str, Mapping[str, FilterValue]] = field(default_factory=dict)
    pattern_a: str | None = None
    pattern_b: str | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"data.layout: expected one of {', '.join(LAYOUTS)}, got {self.layout!r}.")
        object.__setattr__(self, "contrasts", tuple(map(str, self.contrasts)))
        if len(self.contrasts) != 2 or self.contrasts[0] == self.contrasts[1]:
            raise ValueError(f"data.contrasts: expected two different names, got {list(self.contrasts)}.")
        if self.layout == "bids" and not (
            self.subject_pattern is None and self.names_identify_subjects in (None, True)
        ):
            raise ValueError(
                "data.subject_pattern and data.names_identify_subjects do not apply to BIDS, where the folder sub-* is "
                "the subject. Leave them out, or choose data=folder."
            )
        self._check_patterns()
        if self.bids_filters and self.layout != "bids":
            raise ValueError(f"data.bids_filters applies to BIDS alone, not to data={self.layout}. Leave it out.")
        object.__setattr__(self, "bids_filters", checked_filters(self.bids_filters, self.contrasts))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of contrast a and contrast b; empty for other layouts."""
        return (str(self.pattern_a), str(self.pattern_b)) if self.layout == "pattern" else ()

    def searched(self) -> Sequence[str]:
        """Return the paths searched for, of contrast a and contrast b."""
        patterns = self.patterns or ("", "")
        return [
            SEARCH_PATHS[self.layout].format(contrast=contrast, pattern=pattern)
            for contrast, pattern in zip(self.contrasts, patterns, strict=True)
        ]

    def overrides(self) -> dict[str, Any]:
        """Return the keys of the group ``data`` that are not at their defaults, except layout and contrasts."""
        names = ("subject_pattern", "names_identify_subjects", "pattern_a", "pattern_b")
        chosen = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return chosen | ({"bids_filters": self.bids_filters} if self.bids_filters else {})

    def _check_patterns(self) -> None:
        given = {"data.pattern_a": self.pattern_a, "data.pattern_b": self.pattern_b}
        if self.layout != "pattern":
            if unfit := [key for key, pattern in given.items() if pattern is not None]:
                raise ValueError(
                    f"{' and '.join(unfit)}: for data=pattern alone, not data={self.layout}. Leave it out."
                )
            return
        for key, pattern in given.items():
            if not pattern:
                raise ValueError(f"{key} is missing: data=pattern needs it, for example {key}='*/*-t1n.nii.gz'.")
            if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
                raise ValueError(f"{key}={pattern}: expected a pattern below data.root, such as '*/*-t1n.nii.gz'.")
        if self.pattern_a == self.pattern_b:
            raise ValueError("data.pattern_a and data.pattern_b are equal: each contrast needs scans of its own.")
