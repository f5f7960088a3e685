"""Lesions and tissues that somebody labelled, in the derivatives of a BIDS data set."""

import csv
import glob
import re
from pathlib import Path

import numpy as np

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.grids import Grid, resampled
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.text import terminal_safe

LESIONS, TISSUES = "_label-lesion_mask.nii.gz", "_dseg.nii.gz"

_TABLE = "Expected columns index, a whole number, and name, separated by tabs."

# Entities of BIDS names that tell images of one subject apart: what a scan may have been acquired several times with,
# so that labels may hold for all of them, and what tells whose and where the image is.
REPETITIONS = ("run", "acq", "rec")
ENTITIES = ("sub", "ses", *REPETITIONS, "space", "desc")


def label_files(root: Path, subject: str, session: str, stem: str) -> list[Path]:
    """Files that the labels of a scan are read from; see :func:`find_labels`."""
    found = [find_labels(root, subject, session, stem, ending) for ending in (LESIONS, TISSUES)]
    tables = [] if found[1] is None else [table for table in _tables(found[1]) if table.is_file()]
    return [path for path in found if path is not None] + tables


def find_labels(root: Path, subject: str, session: str, stem: str, ending: str) -> Path | None:
    """The file ``derivatives/*/<subject>/[<session>/]anat/*<ending>`` whose BIDS entities fit a scan best, or None.

    It has the scan's entities; ``run-``, ``acq-`` and ``rec-`` may be missing. Of several the one with most of them is
    taken, then the first by name. Where the scan's name is not BIDS, names that begin with the subject fit.

    Args:
        root: folder of the data set.
        subject: such as ``sub-012``.
        session: such as ``ses-1``; empty if there is none.
        stem: of the scan's name, such as ``sub-012_ses-1_run-2``, see :attr:`mri_cyclegan.data.layouts.Scan.stem`.
        ending: such as ``_label-lesion_mask.nii.gz``.
    """
    inside = Path(subject, session, "anat") if session else Path(subject, "anat")
    scan = _entities(stem)
    fitting = []
    for path in root.glob(f"derivatives/*/{glob.escape(str(inside))}/*{ending}"):
        labels = _entities(path.name)
        if _fit(labels, scan) if "sub" in scan else path.name.startswith(subject):
            fitting.append((-len(labels.items() & scan.items()), path.name, path))
    return min(fitting)[-1] if fitting else None


def _entities(name: str) -> dict[str, str]:
    pairs = re.findall(r"(?:^|_)([A-Za-z]+)-([^_.]+)", name)
    return {entity: value for entity, value in pairs if entity in ENTITIES}


def _fit(labels: dict[str, str], scan: dict[str, str]) -> bool:
    return all(
        labels.get(entity) == scan.get(entity) or (entity in REPETITIONS and entity not in labels)
        for entity in ENTITIES
    )


def read_lesions(root: Path, subject: str, session: str, stem: str, grid: Grid) -> np.ndarray | None:
    """Lesion mask of a scan on a grid, (X, Y, Z) bool; None where there is none. See :func:`find_labels`.

    Raises:
        UnfitFile: it cannot be read.
    """
    path = find_labels(root, subject, session, stem, LESIONS)
    return None if path is None else _read_labels(path, grid) > 0


def read_tissues(
    root: Path, subject: str, session: str, stem: str, grid: Grid
) -> tuple[np.ndarray, dict[int, str]] | None:
    """Tissue labels of a scan on a grid, (X, Y, Z) integers, and the name of each label; None where there are none.

    Labels of one name become one, the smallest of them. See :func:`find_labels`.

    Raises:
        UnfitFile: the labels or the table of their names cannot be read.
    """
    path = find_labels(root, subject, session, stem, TISSUES)
    if path is None:
        return None
    labels = _read_labels(path, grid)
    names = _label_names(path)
    label_of: dict[str, int] = {}
    for label in map(int, np.unique(labels)):
        if label:
            first = label_of.setdefault(names.get(label, str(label)), label)
            labels[labels == label] = first
    return labels, {label: name for name, label in label_of.items()}


def _read_labels(path: Path, grid: Grid) -> np.ndarray:
    volume = read_volume(path)
    return np.rint(resampled(volume.array, volume.affine, grid, order=0)).astype(np.int16)


def _label_names(path: Path) -> dict[int, str]:
    for table in _tables(path):
        if table.is_file():
            return _read_table(table)
    return {}


def _read_table(path: Path) -> dict[int, str]:
    names = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                names[int(row["index"])] = terminal_safe(str(row["name"]))
    except KeyError as error:
        raise UnfitFile(path, f"it has no column {error}", _TABLE) from error
    except (TypeError, ValueError, csv.Error) as error:  # a row may end early, or hold a word for a number
        raise UnfitFile(path, f"it cannot be read as a table of labels ({error})", _TABLE) from error
    return names


def _tables(path: Path) -> list[Path]:
    """Where the names may stand: ``*_dseg.tsv`` beside the file, or ``dseg.tsv`` above it, as BIDS inherits it."""
    beside = path.with_name(path.name.removesuffix(".nii.gz") + ".tsv")
    return [beside, *(folder / "dseg.tsv" for folder in path.parents[:4])]
