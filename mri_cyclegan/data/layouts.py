"""Finds the scans of a data set."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.dicom import series_files
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.reading import unreadable
from mri_cyclegan.data.walking import is_folder, walk

# Layout to what is searched for below the folder of the data set.
SEARCHED = {
    "bids": "sub-*/[ses-*/]anat/*_{contrast}.nii[.gz]",
    "folder": "{contrast}/**/*.nii[.gz]",
    "png": "{contrast}/**/*.png or *.jpg",
    "dicom": "{contrast}/<subject>/**/ with DICOM files",
}
LAYOUTS = tuple(SEARCHED)

# Layout to how its files end; a folder of DICOM files is told by what is in it.
SUFFIXES = {"folder": NIFTI_SUFFIXES, "png": PICTURE_SUFFIXES, "dicom": ()}


@dataclass(frozen=True, order=True)
class Scan:
    """One image file and whose it is.

    Attributes:
        subject: who was scanned; splits are made by it.
        session: ``ses-*`` folder it lies in, empty if there is none.
        contrast: name from ``data.contrasts``.
        path: the file.
    """

    subject: str
    session: str
    contrast: str
    path: Path

    @property
    def stem(self) -> str:
        """File name without extension and contrast: equal for two contrasts acquired or registered together."""
        return strip_contrast(strip_suffix(self.path.name), self.contrast)

    @property
    def place(self) -> tuple[str, ...]:
        """Folders and stem, without the contrast: equal for two contrasts that lie beside each other."""
        return (*(part for part in self.path.parent.parts if part != self.contrast), self.stem)


class Found(NamedTuple):
    """Scans of a data set, sorted, and what could not be searched."""

    scans: list[Scan]
    findings: list[Finding]


def find_scans(
    layout: str,
    root: str | Path,
    contrasts: Sequence[str],
    subject_pattern: str | None = None,
    names_identify_subjects: bool = True,
) -> Found:
    """List the scans under ``root``.

    Args:
        layout: ``"bids"``: ``sub-*/[ses-*/]anat/*_<contrast>.nii[.gz]``; ``"folder"``: NIfTI files in one subfolder
            a contrast, at any depth; ``"png"``: the same with PNG or JPEG files, each one slice; ``"dicom"``: the same
            with folders of DICOM files, each one series. For BIDS, ``root`` may also be one subject's folder.
        root: folder of the data set.
        contrasts: names of the two contrasts, (a, b): BIDS suffixes, or names of the subfolders.
        subject_pattern: regular expression whose first group finds the subject in a path below its contrast's folder.
            Without one the subject is the first folder there, or else the file name less the contrast.
        names_identify_subjects: whether equal names in two contrast folders mean the same subject. If not, each
            folder has subjects of its own and there are no pairs.

    Raises:
        ValueError: the folder is missing, or a setting does not fit the layout or a file.
    """
    root = Path(root).expanduser()
    if layout not in LAYOUTS:
        raise ValueError(f"data.layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}.")
    if len(contrasts) != 2 or contrasts[0] == contrasts[1]:
        raise ValueError(f"data.contrasts: expected two different names, got {list(contrasts)}.")
    _require_folder(root)
    findings: list[Finding] = []
    if layout == "bids":
        if subject_pattern is not None or not names_identify_subjects:
            raise ValueError(
                "data.subject_pattern and data.names_identify_subjects do not apply to BIDS, where the folder sub-* is "
                "the subject. Leave them out, or choose data=folder."
            )
        scans = _find_bids(root, contrasts, findings)
    else:
        scans = []
        for contrast in contrasts:
            for path in _scan_paths(layout, root / contrast, findings):
                relative = path.relative_to(root / contrast)
                subject = _subject_of(relative, contrast, subject_pattern)
                session = next((part for part in relative.parts if part.startswith("ses-")), "")
                if not names_identify_subjects:
                    subject = f"{contrast}/{subject}"
                scans.append(Scan(subject, session, contrast, path))
    return Found(sorted(scans), findings)


def _require_folder(root: Path) -> None:
    try:
        next(root.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"data.root: {root} is not a folder. Set data.root to the folder of the data set.") from error
    except OSError as error:
        raise ValueError(
            f"data.root: {root} cannot be listed ({error.strerror}). Give yourself permission to read it."
        ) from error


def require_both_contrasts(
    layout: str, root: str | Path, contrasts: Sequence[str], scans: Sequence[Scan], findings: Sequence[Finding] = ()
) -> None:
    """Refuse a data set with scans of one contrast only, or of none.

    Args:
        layout: see :func:`find_scans`.
        root: likewise.
        contrasts: likewise.
        scans: what was found.
        findings: what could not be searched: perhaps the reason.

    Raises:
        ValueError: says what was searched for, what was found, and what the folder holds.
    """
    root = Path(root).expanduser()
    counts = {contrast: sum(scan.contrast == contrast for scan in scans) for contrast in contrasts}
    if all(counts.values()):
        return
    found = ", ".join(f"{count} of {contrast}" for contrast, count in counts.items())
    searched = " and ".join(SEARCHED[layout].format(contrast=contrast) for contrast in contrasts)
    entries = sorted(path.name for path in root.iterdir())
    reasons = "".join(f"\n- {finding}" for finding in findings)
    raise ValueError(
        f"{root}: both contrasts are needed, found {found}. Searched for {searched}; the folder holds "
        f"{', '.join(entries[:8]) or 'nothing'}{' …' if len(entries) > 8 else ''}. Set data.contrasts, or data= to the "
        f"layout that fits ({', '.join(LAYOUTS)}).{reasons}"
    )


def find_pairs(scans: Sequence[Scan], contrasts: Sequence[str]) -> list[tuple[Scan, Scan]]:
    """Scans of both contrasts from the same subject and session.

    Where a session has several scans of a contrast, those with the same stem in the same place below their contrast's
    folder belong together; others stay unpaired.
    """
    sessions: dict[tuple[str, str], dict[str, list[Scan]]] = defaultdict(lambda: defaultdict(list))
    for scan in sorted(scans):
        sessions[scan.subject, scan.session][scan.contrast].append(scan)
    pairs = []
    for found in sessions.values():
        scans_a, scans_b = (found[contrast] for contrast in contrasts)
        if len(scans_a) == len(scans_b) == 1:
            pairs.append((scans_a[0], scans_b[0]))
        else:
            pairs += [(a, b) for a in scans_a for b in scans_b if a.place == b.place]
    return pairs


def is_bids(root: Path) -> bool:
    """Whether a folder is a BIDS data set with anatomical scans, or one subject of it."""
    subjects = [root] if root.name.startswith("sub-") else root.glob("sub-*")
    folders = [subject for subject in subjects if is_folder(subject)]
    return any(is_folder(subject / "anat") or any(subject.glob("ses-*/anat")) for subject in folders)


def _find_bids(root: Path, contrasts: Sequence[str], findings: list[Finding]) -> list[Scan]:
    if root.name.startswith("sub-"):
        root, only = root.parent, root.name
    else:
        only = ""
    kind = re.IGNORECASE | re.DOTALL  # a name may have several lines
    names = {contrast: re.compile(rf".+_{re.escape(contrast)}\.nii(\.gz)?", kind) for contrast in contrasts}
    scans = []
    for subject in sorted(root.glob(only or "sub-*")):
        findings += _unreachable(subject)
        if not is_folder(subject):
            continue
        for folder, files in walk(subject, findings, _is_bids_folder):
            for path in files:
                if _is_bids_folder(path.relative_to(subject).parts):  # by its name; in truth no folder
                    findings += _unreachable(path)
            if folder.name != "anat":
                continue
            session = folder.parent.name if folder.parent != subject else ""
            scans += [
                Scan(subject.name, session, contrast, path)
                for path in files
                for contrast, name in names.items()
                if name.fullmatch(path.name)
            ]
    return scans


def _is_bids_folder(parts: tuple[str, ...]) -> bool:
    return parts == ("anat",) or (parts[0].startswith("ses-") and parts[1:] in ((), ("anat",)))


def _scan_paths(layout: str, folder: Path, findings: list[Finding]) -> Iterator[Path]:
    """Files, or folders of a DICOM series, below the folder of a contrast."""
    if not is_folder(folder):
        findings += _unreachable(folder)
        return
    for found, files in walk(folder, findings):
        if layout == "dicom" and series_files(found):
            if found != folder:
                yield found
            else:
                problem = "DICOM files lie directly in the contrast's folder, so their subject is unknown"
                findings.append(Finding("error", folder, problem, "Give each series a folder of its own in it."))
            continue
        for path in files:
            if path.name.lower().endswith(SUFFIXES[layout]):
                yield path
            else:
                # What may not be read may be DICOM, and all of a series.
                findings += _unreachable(path, look=_open if layout == "dicom" else Path.stat)


def _open(path: Path) -> None:
    path.open("rb").close()


def _unreachable(path: Path, look: Callable[[Path], object] = Path.stat) -> list[Finding]:
    """What is wrong with a path that is there, but leads nowhere or may not be followed."""
    try:
        look(path)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or path.is_symlink():
            return [unreadable(path, error).finding]
    return []


def _subject_of(relative: Path, contrast: str, pattern: str | None) -> str:
    if pattern is not None:
        try:
            match = re.search(pattern, str(relative))
        except re.error as error:
            raise ValueError(f"data.subject_pattern: {pattern!r} is no regular expression ({error}).") from error
        if match is None or not match.groups() or not match.group(1):
            raise ValueError(
                f"data.subject_pattern: {pattern!r} finds no subject in {relative}; "
                r"expected a regular expression with one group, such as '(sub-\d+)'."
            )
        return match.group(1)
    if len(relative.parts) > 1:
        return relative.parts[0]
    return strip_contrast(strip_suffix(relative.name), contrast)


def strip_suffix(name: str) -> str:
    """An image file's name without its ending."""
    return re.sub(r"(\.nii(\.gz)?|\.png|\.jpe?g)$", "", name, flags=re.IGNORECASE)


def strip_contrast(stem: str, contrast: str) -> str:
    """Drop a trailing contrast: ``sub-012_T1w``, ``IXI002-T1`` and ``012 t1`` name subject 012, not its T1w.

    >>> strip_contrast("sub-012_T1w", "T1w"), strip_contrast("012 t1", "T1w"), strip_contrast("T1w", "T1w")
    ('sub-012', '012', 'T1w')
    """
    return _ending(contrast).sub("", stem) or stem


def names_contrast(stem: str, contrast: str) -> bool:
    """Whether a name ends with a contrast, or is one.

    >>> names_contrast("sub-012_T1w", "T1w"), names_contrast("T1", "T1w"), names_contrast("bart1", "T1w")
    (True, True, False)
    """
    return _ending(contrast).search(stem) is not None


def _ending(contrast: str) -> re.Pattern[str]:
    short = contrast.removesuffix("w")
    return re.compile(rf"[-_ .]?(?<![A-Za-z0-9])({re.escape(contrast)}|{re.escape(short)})$", re.IGNORECASE)
