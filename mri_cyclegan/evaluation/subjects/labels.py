"""Lesion masks and tissue labels from the derivatives of a BIDS data set."""

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

# BIDS entities that distinguish images of one subject. Those of repeated acquisitions may be missing from a label
# file, whose labels then apply to every repetition; the others must match.
REPETITIONS = ("run", "acq", "rec")
ENTITIES = ("sub", "ses", *REPETITIONS, "space", "desc")


def label_files(root: Path, subject: str, session: str, stem: str) -> list[Path]:
    """Files with the labels of a scan and their names; see :func:`find_labels`."""
    found = [find_labels(root, subject, session, stem, ending) for ending in (LESIONS, TISSUES)]
    tables = [] if found[1] is None else [table for table in _tables(found[1]) if table.is_file()]
    return [path for path in found if path is not None] + tables


def find_labels(root: Path, subject: str, session: str, stem: str, ending: str) -> Path | None:
    """The file ``derivatives/*/<subject>/[<session>/]anat/*<ending>`` that best matches a scan's entities, or None.

    Its BIDS entities must equal the scan's, but ``run-``, ``acq-`` and ``rec-`` may be missing. Among several matches
    the one with most of them wins, then the first by name. For a scan whose name is not BIDS, a file matches if its
    name begins with the subject.

    Args:
        root: folder of the data set.
        subject: such as ``sub-012``.
        session: such as ``ses-1``; empty if there is none.
        stem: stem of the scan's name, such as ``sub-012_ses-1_run-2``, see :attr:`mri_cyclegan.data.layouts.Scan.stem`.
        ending: such as ``_label-lesion_mask.nii.gz``.
    """
    inside = Path(subject, session, "anat") if session else Path(subject, "anat")
    scan = _entities(stem)
    fitting = []
    for path in root.glob(f"derivatives/*/{glob.escape(str(inside))}/*{ending}"):
        labels = _entities(path.name)
        if _entities_match(labels, scan) if "sub" in scan else path.name.startswith(subject):
            fitting.append((-len(labels.items() & scan.items()), path.name, path))
    return min(fitting)[-1] if fitting else None


def _entities(name: str) -> dict[str, str]:
    pairs = re.findall(r"(?:^|_)([A-Za-z]+)-([^_.]+)", name)
    return {entity: value for entity, value in pairs if entity in ENTITIES}


def _entities_match(labels: dict[str, str], scan: dict[str, str]) -> bool:
    return all(
        labels.get(entity) == scan.get(entity) or (entity in REPETITIONS and entity not in labels)
        for entity in ENTITIES
    )


def read_lesions(root: Path, subject: str, session: str, stem: str, grid: Grid) -> np.ndarray | None:
    """Lesion mask of a scan on a grid, (X, Y, Z) bool; None if there is none. See :func:`find_labels`.

    Raises:
        UnfitFile: the mask cannot be read.
    """
    path = find_labels(root, subject, session, stem, LESIONS)
    return None if path is None else _read_labels(path, grid) > 0


def read_tissues(
    root: Path, subject: str, session: str, stem: str, grid: Grid
) -> tuple[np.ndarray, dict[int, str]] | None:
    """Tissue labels of a scan on a grid, (X, Y, Z) integers, and the name of each label; None if there are none.

    Labels with the same name are merged into the smallest of them. See :func:`find_labels`.

    Raises:
        UnfitFile: the labels or the table of label names cannot be read.
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
    except (TypeError, ValueError, csv.Error) as error:  # a row may be too short, or its index not a number
        raise UnfitFile(path, f"it cannot be read as a table of labels ({error})", _TABLE) from error
    return names


def _tables(path: Path) -> list[Path]:
    """Candidate tables of label names: ``*_dseg.tsv`` beside the file, then ``dseg.tsv`` there or up to 3 levels up."""
    beside = path.with_name(path.name.removesuffix(".nii.gz") + ".tsv")
    return [beside, *(folder / "dseg.tsv" for folder in path.parents[:4])]
