"""Finds the scans of a data set."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mri_cyclegan.data.volume import NIFTI_SUFFIXES, PNG_SUFFIXES

LAYOUTS = ("bids", "folder", "png")


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
        return _strip_contrast(_strip_suffix(self.path.name), self.contrast)


def find_scans(
    layout: str,
    root: str | Path,
    contrasts: Sequence[str],
    subject_pattern: str | None = None,
    names_identify_subjects: bool = True,
) -> list[Scan]:
    """List the scans under ``root``, sorted.

    Args:
        layout: ``"bids"``: ``sub-*/[ses-*/]anat/*_<contrast>.nii[.gz]``; ``"folder"``: NIfTI files in one subfolder
            a contrast, at any depth; ``"png"``: the same with PNG files, each one slice.
        root: folder of the data set.
        contrasts: names of the two contrasts, (a, b): BIDS suffixes, or names of the subfolders.
        subject_pattern: regular expression whose first group finds the subject in a path below its contrast's folder.
            Without one the subject is the first folder there, or else the file name less the contrast.
        names_identify_subjects: whether equal names in two contrast folders mean the same subject. If not, each
            folder has subjects of its own and there are no pairs.

    Raises:
        ValueError: the folder is missing, a contrast has no file, or ``subject_pattern`` does not fit a file.
    """
    root = Path(root).expanduser()
    if layout not in LAYOUTS:
        raise ValueError(f"data.layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}.")
    if len(contrasts) != 2 or contrasts[0] == contrasts[1]:
        raise ValueError(f"data.contrasts: expected two different names, got {list(contrasts)}.")
    if not root.is_dir():
        raise ValueError(f"data.root: {root} is not a folder. Set data.root to the folder of the data set.")
    if layout == "bids":
        scans = _find_bids(root, contrasts)
        searched = [f"sub-*/[ses-*/]anat/*_{contrast}.nii[.gz]" for contrast in contrasts]
    else:
        suffixes = PNG_SUFFIXES if layout == "png" else NIFTI_SUFFIXES
        scans = _find_folders(root, contrasts, suffixes, subject_pattern, names_identify_subjects)
        searched = [f"{contrast}/**/*[{'|'.join(suffixes)}]" for contrast in contrasts]
    _check_both_present(root, contrasts, scans, searched)
    return sorted(scans)


def find_pairs(scans: Sequence[Scan], contrasts: Sequence[str]) -> list[tuple[Scan, Scan]]:
    """Scans of both contrasts from the same subject and session.

    Where a session has several scans of a contrast, those with the same stem belong together; others stay unpaired.
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
            pairs += [(a, b) for a in scans_a for b in scans_b if a.stem == b.stem]
    return pairs


def _find_bids(root: Path, contrasts: Sequence[str]) -> list[Scan]:
    scans = []
    for subject in sorted(root.glob("sub-*")):
        for anat in sorted([*subject.glob("anat"), *subject.glob("ses-*/anat")]):
            session = anat.parent.name if anat.parent != subject else ""
            for contrast in contrasts:
                scans += [
                    Scan(subject.name, session, contrast, path)
                    for path in sorted(anat.glob(f"*_{contrast}.nii*"))
                    if path.name.endswith(NIFTI_SUFFIXES) and not path.name.startswith(".")
                ]
    return scans


def _find_folders(
    root: Path, contrasts: Sequence[str], suffixes: tuple[str, ...], pattern: str | None, names_identify_subjects: bool
) -> list[Scan]:
    scans = []
    for contrast in contrasts:
        folder = root / contrast
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in relative.parts)
            if hidden or not path.name.lower().endswith(suffixes):
                continue
            subject = _subject_of(relative, contrast, pattern)
            session = next((part for part in relative.parts if part.startswith("ses-")), "")
            scans.append(Scan(subject if names_identify_subjects else f"{contrast}/{subject}", session, contrast, path))
    return scans


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
    return _strip_contrast(_strip_suffix(relative.name), contrast)


def _strip_suffix(name: str) -> str:
    return re.sub(r"(\.nii(\.gz)?|\.png)$", "", name, flags=re.IGNORECASE)


def _strip_contrast(stem: str, contrast: str) -> str:
    """Drop a trailing contrast: ``sub-012_T1w``, ``IXI002-T1`` and ``012 t1`` name subject 012, not its T1w."""
    short = contrast.removesuffix("w")
    return re.sub(rf"[-_ .]?(?<![A-Za-z0-9])({re.escape(contrast)}|{re.escape(short)})$", "", stem, flags=re.I) or stem


def _check_both_present(root: Path, contrasts: Sequence[str], scans: list[Scan], searched: list[str]) -> None:
    counts = {contrast: sum(scan.contrast == contrast for scan in scans) for contrast in contrasts}
    if all(counts.values()):
        return
    found = ", ".join(f"{count} of {contrast}" for contrast, count in counts.items())
    entries = sorted(path.name for path in root.iterdir())
    raise ValueError(
        f"{root}: both contrasts are needed, found {found}. Searched for {' and '.join(searched)}; the folder holds "
        f"{', '.join(entries[:8]) or 'nothing'}{' …' if len(entries) > 8 else ''}. Set data.contrasts, or data= to the "
        f"layout that fits (bids, folder, png)."
    )
