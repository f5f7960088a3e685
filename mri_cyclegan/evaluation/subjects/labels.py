"""Lesions and tissues that somebody labelled, in the derivatives of a BIDS data set."""

import csv
from pathlib import Path

import numpy as np

from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.evaluation.subjects.resampling import Grid, resampled

LESIONS, TISSUES = "_label-lesion_mask.nii.gz", "_dseg.nii.gz"


def label_files(root: Path, subject: str, session: str) -> list[Path]:
    """Files that the labels of a subject are read from."""
    found = [find_labels(root, subject, session, ending) for ending in (LESIONS, TISSUES)]
    tables = [] if found[1] is None else [table for table in _tables(found[1]) if table.is_file()]
    return [path for path in found if path is not None] + tables


def find_labels(root: Path, subject: str, session: str, ending: str) -> Path | None:
    """First file ``derivatives/*/<subject>/[<session>/]anat/*<ending>``, or None.

    Args:
        root: folder of the data set.
        subject: such as ``sub-012``.
        session: such as ``ses-1``; empty if there is none.
        ending: such as ``_label-lesion_mask.nii.gz``.
    """
    inside = Path(subject, session, "anat") if session else Path(subject, "anat")
    return min(root.glob(f"derivatives/*/{inside}/*{ending}"), default=None)


def read_lesions(root: Path, subject: str, session: str, grid: Grid) -> np.ndarray | None:
    """Lesion mask on a grid, (X, Y, Z) bool; None where there is none.

    Raises:
        UnfitFile: it cannot be read.
    """
    path = find_labels(root, subject, session, LESIONS)
    return None if path is None else _read_labels(path, grid) > 0


def read_tissues(root: Path, subject: str, session: str, grid: Grid) -> tuple[np.ndarray, dict[int, str]] | None:
    """Tissue labels on a grid, (X, Y, Z) integers, and the name of each label; None where there are none.

    Raises:
        UnfitFile: they cannot be read.
    """
    path = find_labels(root, subject, session, TISSUES)
    if path is None:
        return None
    labels = _read_labels(path, grid)
    names = _label_names(path)
    return labels, {label: names.get(label, str(label)) for label in map(int, np.unique(labels)) if label}


def _read_labels(path: Path, grid: Grid) -> np.ndarray:
    volume = read_volume(path)
    return np.rint(resampled(volume.array, volume.affine, grid, order=0)).astype(np.int16)


def _label_names(path: Path) -> dict[int, str]:
    for table in _tables(path):
        if table.is_file():
            with table.open(newline="", encoding="utf-8-sig") as lines:
                return {int(row["index"]): row["name"] for row in csv.DictReader(lines, delimiter="\t")}
    return {}


def _tables(path: Path) -> list[Path]:
    """Where the names may stand: ``*_dseg.tsv`` beside the file, or ``dseg.tsv`` above it, as BIDS inherits it."""
    beside = path.with_name(path.name.removesuffix(".nii.gz") + ".tsv")
    return [beside, *(folder / "dseg.tsv" for folder in path.parents[:4])]
