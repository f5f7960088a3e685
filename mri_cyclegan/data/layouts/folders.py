"""Scans of a data set with one folder per contrast."""

from collections.abc import Iterator
from pathlib import Path, PurePath

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.dicom import series_files
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.formats.registry import VOLUME_SUFFIXES
from mri_cyclegan.data.formats.unsupported import skipped_image_findings
from mri_cyclegan.data.layouts.reachability import access_findings, require_openable
from mri_cyclegan.data.layouts.scan import PART_NAMES, Found, split_part_named
from mri_cyclegan.data.layouts.settings import LayoutSettings
from mri_cyclegan.data.layouts.subject_assignment import build_scans
from mri_cyclegan.data.layouts.subjects import Place
from mri_cyclegan.data.walking import is_folder, walk

# Layout to the suffixes of its files; a DICOM folder is recognized by its content.
SUFFIXES = {"folder": VOLUME_SUFFIXES, "png": PICTURE_SUFFIXES, "dicom": ()}


def find_in_folders(root: Path, settings: LayoutSettings) -> Found:
    """Find the scans below the folders of both contrasts.

    A contrast's folder may belong to one part of a split: ``train/T1w``, ``trainA`` or ``T1w/train``.
    """
    findings: list[Finding] = []
    entries = []
    for contrast in settings.contrasts:
        for part, folder in contrast_folders(root, contrast):
            for path in _scan_paths(settings.layout, folder, findings):
                relative = path.relative_to(folder)
                below = "" if part or len(relative.parts) < 2 else split_part_named(relative.parts[0])
                place = Place(contrast, PurePath(*relative.parts[1:]) if below else relative, settings.layout == "png")
                entries.append((path, part or below, place))
    return build_scans(root, entries, settings, findings)


def contrast_folders(root: Path, contrast: str) -> list[tuple[str, Path]]:
    """Return the folders of a contrast, each with its part of a split; the plain folder if there are no parts."""
    names = [(part, name) for part, of_part in PART_NAMES.items() for name in of_part]
    parts = {name: part for part, name in names}
    joined = {f"{name}{sign}{contrast}".lower(): part for part, name in names for sign in ("", "_", "-")}
    found = []
    for folder in sorted(root.iterdir()) if not is_folder(root / contrast) else []:
        if part := joined.get(folder.name.lower()):
            found.append((part, folder))
        elif (part := parts.get(folder.name.lower())) and is_folder(folder / contrast):
            found.append((part, folder / contrast))
    return found or [("", root / contrast)]


def _scan_paths(layout: str, folder: Path, findings: list[Finding]) -> Iterator[Path]:
    """Yield image files, or folders with a DICOM series, below a contrast's folder."""
    if not is_folder(folder):
        findings += access_findings(folder)
        return
    for found, files in walk(folder, findings):
        if layout == "dicom" and series_files(found):
            if found != folder:
                yield found
            else:
                problem = "DICOM files lie directly in the contrast's folder, so their subject is unknown"
                findings.append(Finding("error", folder, problem, "Give each series a folder of its own in it."))
            continue
        findings += skipped_image_findings(files, SUFFIXES[layout])
        for path in files:
            if path.name.lower().endswith(SUFFIXES[layout]):
                yield path
            else:
                # An unreadable file may be DICOM, even the whole series.
                findings += access_findings(path, look=require_openable if layout == "dicom" else Path.stat)
