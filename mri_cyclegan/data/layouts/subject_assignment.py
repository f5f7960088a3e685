"""Builds scans, with their subjects, from the paths of a data set."""

from collections.abc import Sequence
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.layouts.scan import Found, Scan
from mri_cyclegan.data.layouts.settings import LayoutSettings
from mri_cyclegan.data.layouts.subjects import REMEDY, Identity, Place, assign_subjects


def build_scans(
    root: Path, entries: Sequence[tuple[Path, str, Place]], settings: LayoutSettings, findings: Sequence[Finding]
) -> Found:
    """Build a scan from each file, with warnings about their subjects.

    Args:
        root: folder of the data set.
        entries: path, part of a split, and place of each file.
        settings: layout of the data set.
        findings: findings of the search, which are included in the result.
    """
    places = [place for *_, place in entries]
    identities, warnings = assign_subjects(
        places, settings.contrasts, settings.subject_pattern, settings.names_identify_subjects
    )
    scans = [
        Scan(
            _subject_in_part(identity, part),
            identity.session,
            place.contrast,
            path,
            part,
            identity.is_known and not warnings,
        )
        for (path, part, place), identity in zip(entries, identities, strict=True)
    ]
    told = [Finding("warning", root, warning, REMEDY) for warning in warnings]
    num_unknown = sum(not identity.is_known for identity in identities)
    if num_unknown and settings.names_identify_subjects is None:
        problem = (
            f"nothing tells whose {num_unknown} of {len(scans)} pictures are, so each counts as a person of its own: "
            "slices of one head may be in training and in test"
        )
        told.append(Finding("warning", root, problem, REMEDY))
    return Found(scans, [*findings, *told])


def _subject_in_part(identity: Identity, part: str) -> str:
    """Return the subject; an unknown one is specific to its part of a split, as numbers restart in each part."""
    return identity.subject if identity.is_known or not part else f"{part}/{identity.subject}"
