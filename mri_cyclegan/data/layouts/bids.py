"""Scans of a BIDS data set."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.registry import strip_suffix
from mri_cyclegan.data.formats.unsupported import skipped_image_findings
from mri_cyclegan.data.layouts.entities import NON_MAGNITUDE_PARTS, FilterValue, matches_filter, parse_entities
from mri_cyclegan.data.layouts.reachability import access_findings
from mri_cyclegan.data.layouts.scan import Found, Scan, normalize_unicode, split_part_named
from mri_cyclegan.data.layouts.settings import LayoutSettings
from mri_cyclegan.data.walking import is_folder, walk

# Why a scan is left out, and how to use it anyway.
Refusal = tuple[str, str]


def is_bids(root: Path) -> bool:
    """Whether a folder is a BIDS data set with anatomical scans, one of its subjects, or one per part of a split."""
    return is_bids_subject(root) or any(
        is_bids_subject(subject) for _, folder in _roots(root) for subject in _subjects(folder)
    )


def is_bids_subject(folder: Path) -> bool:
    """Whether a folder holds the anatomical scans of one subject."""
    if not folder.name.startswith("sub-") or not is_folder(folder):
        return False
    return is_folder(folder / "anat") or any(folder.glob("ses-*/anat"))


def find_bids(root: Path, settings: LayoutSettings) -> Found:
    """Find ``sub-*/[ses-*/]anat/*_<contrast>.nii[.gz]`` below a data set, or below one subject's folder."""
    found = Found([], [], [])
    refused: dict[Refusal, list[Path]] = defaultdict(list)
    roots = [("", root.parent)] if is_bids_subject(root) else _roots(root)
    for part, folder in roots:
        for subject in [root] if is_bids_subject(root) else _subjects(folder):
            found.findings.extend(access_findings(subject))
            if is_folder(subject):
                _find_of_subject(subject, part, settings, found, refused)
    for (reason, remedy), paths in refused.items():
        told = (
            f"{len(paths)} {'scan is' if len(paths) == 1 else 'scans are'} left out, such as {paths[0].name}: {reason}"
        )
        found.findings.append(Finding("warning", root, told, remedy))
    return found


def _roots(root: Path) -> list[tuple[str, Path]]:
    """Return the data set's folder or, if it has no subjects, one folder per part of a split; each with its part."""
    if any(root.glob("sub-*")) or not is_folder(root):
        return [("", root)]
    parts = [(split_part_named(folder.name), folder) for folder in sorted(root.iterdir()) if is_folder(folder)]
    return [(part, folder) for part, folder in parts if part and any(folder.glob("sub-*"))] or [("", root)]


def _subjects(root: Path) -> list[Path]:
    return sorted(root.glob("sub-*"))


def _find_of_subject(
    subject: Path, part: str, settings: LayoutSettings, found: Found, refused: dict[Refusal, list[Path]]
) -> None:
    kind = re.IGNORECASE | re.DOTALL  # a name may contain line breaks
    names = {name: re.compile(rf".+_{re.escape(name)}\.nii(\.gz)?", kind) for name in settings.contrasts}
    for folder, files in walk(subject, found.findings, _is_bids_folder):
        for path in files:
            if _is_bids_folder(path.relative_to(subject).parts):  # named like a folder: perhaps a broken link
                found.findings.extend(access_findings(path))
        if folder.name != "anat":
            continue
        found.findings.extend(skipped_image_findings(files, NIFTI_SUFFIXES))
        session = folder.parent.name if folder.parent != subject else ""
        for path in files:
            for contrast, name in names.items():
                if not name.fullmatch(path.name):
                    continue
                wanted = settings.bids_filters.get(contrast, {})
                of_scan = parse_entities(strip_suffix(path.name))
                if refusal := _why_refused(contrast, of_scan, wanted):
                    refused[refusal].append(path)
                elif not matches_filter(of_scan, wanted):
                    found.left_out.append(path)
                else:
                    found.scans.append(
                        Scan(normalize_unicode(subject.name), normalize_unicode(session), contrast, path, part)
                    )


def _why_refused(contrast: str, of_scan: Mapping[str, str], wanted: Mapping[str, FilterValue]) -> Refusal | None:
    """Return why a scan is not a plain image of its contrast; None if it is one, or the filter asks for it."""
    if of_scan.get("part") in NON_MAGNITUDE_PARTS:
        return f"part-{of_scan['part']} is the phase or one component of a signal, no image", ""
    if "ce" in of_scan and "ce" not in wanted:
        remedy = f"To use such scans as {contrast}, set 'data.bids_filters={{{contrast}: {{ce: {of_scan['ce']}}}}}'."
        return f"contrast-enhanced (ce-{of_scan['ce']}) is another contrast than {contrast}", remedy
    return None


def ambiguous_scan_warnings(root: Path, scans: Sequence[Scan], settings: LayoutSettings) -> list[Finding]:
    """Warn about each contrast with several scans in a session, and suggest a filter that chooses among them."""
    findings = []
    for contrast in settings.contrasts:
        sessions: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
        for scan in scans:
            if scan.contrast == contrast:
                sessions[scan.subject, scan.session].append(parse_entities(strip_suffix(scan.path.name)))
        several = [found for found in sessions.values() if len(found) > 1]
        keys = sorted(
            {key for found in several for one in found for key in one if len({str(o.get(key)) for o in found}) > 1}
        )
        if not keys:
            continue
        values = {key: sorted({one.get(key, "none") for found in several for one in found}) for key in keys}
        told = "; ".join(f"{key}: {', '.join(of_key)}" for key, of_key in values.items())
        example = ", ".join(f"{key}: {of_key[0]}" for key, of_key in values.items() if of_key[0] != "none") or keys[0]
        problem = f"{len(several)} sessions have several {contrast} scans ({told}); all of them are used"
        remedy = f"To choose, set 'data.bids_filters={{{contrast}: {{{example}}}}}'."
        findings.append(Finding("warning", root, problem, remedy))
    return findings


def _is_bids_folder(parts: tuple[str, ...]) -> bool:
    return parts == ("anat",) or (parts[0].startswith("ses-") and parts[1:] in ((), ("anat",)))
