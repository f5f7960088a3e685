"""Folders of DICOM files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bad_inputs.case import Case
from bad_inputs.dicom_series import SERIES_UID, write_series
from bad_inputs.heads import AFFINE, CONTRASTS, SUBJECTS, head
from pydicom.dataset import Dataset

OTHER_UID = f"{SERIES_UID}.7"


def write_base(root: Path) -> None:
    """``T1w/sub-01/IM0001.dcm`` and so on."""
    for seed, subject in enumerate(SUBJECTS):
        for contrast in CONTRASTS:
            write_series(root / contrast / subject, head(seed, contrast), AFFINE)


DicomCase = partial(Case, layout="dicom", base=write_base, doubtful="T1w/sub-05")
refused = partial(DicomCase, outcome="refused")
accepted = partial(DicomCase, outcome="accepted", like_sound=True)


def series(affine: np.ndarray = AFFINE, **settings: object) -> Callable[[Path], list[Path]]:
    """The sound head."""
    return lambda folder: write_series(folder, head(), affine, **settings)


def two_series(folder: Path) -> None:
    """The sound head and another one."""
    write_series(folder, head(), AFFINE)
    write_series(folder, head(6), AFFINE, uid=OTHER_UID, name="other{:04d}.dcm".format)


def spoilt(slice_index: int, spoil: Callable[[Path], object]) -> Callable[[Path], object]:
    """The sound head, and something done to one of its files."""
    return lambda folder: spoil(write_series(folder, head(), AFFINE)[slice_index])


def localizer(dataset: Dataset, index: int) -> None:
    """The first image lies across the others."""
    if index == 0:
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def multi_frame(dataset: Dataset, index: int) -> None:
    """Enhanced MR."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    dataset.NumberOfFrames = 12


SHIFTED = AFFINE + np.array([[0, 0, 3, 0], [0] * 4, [0] * 4, [0] * 4])

SERIES = [
    refused(
        "DICOM, several series",
        two_series,
        says=(SERIES_UID, OTHER_UID, "2 series in one folder", "Name one in data.series_uids"),
    ),
    accepted("DICOM, several series with series_uids", two_series, options={"series_uids": [SERIES_UID]}),
    refused(
        "DICOM, missing slice", spoilt(5, Path.unlink), says=("not evenly spaced", "18.00 mm from", "may be missing")
    ),
    refused(
        "DICOM, duplicate slice",
        spoilt(3, lambda path: path.with_name("again.dcm").write_bytes(path.read_bytes())),
        says=("13 images at 12 places", "several at -22.50 mm", "Remove the copies"),
    ),
    refused(
        "DICOM, localizer", series(change=localizer), says=("ImageOrientationPatient", "a localizer?", "Leave it out")
    ),
    refused(
        "DICOM, truncated file",
        spoilt(4, lambda path: path.write_bytes(path.read_bytes()[:-100])),
        says=("IM0005.dcm", "476 bytes of pixel data", "Copy or export it again"),
    ),
    refused(
        "DICOM, file truncated within its header",
        spoilt(4, lambda path: path.write_bytes(path.read_bytes()[:400])),
        says=("IM0005.dcm", "truncated", "Copy or export it again"),
    ),
    refused("DICOM, empty file", spoilt(4, lambda path: path.write_bytes(b"")), says=("IM0005.dcm", "truncated")),
    refused("DICOM, multi-frame", series(change=multi_frame), says=("a multi-frame image", "dcm2niix")),
    refused(
        "DICOM in metres",
        series(np.diag([1e-3, 1e-3, 1e-3, 1]) @ AFFINE, change=None),
        says=("mm",),
    ),
    DicomCase("DICOM, sheared", series(SHIFTED), "warned", says=("sheared",)),
    DicomCase(
        "DICOM, constant",
        lambda folder: write_series(folder, np.full_like(head(), 7), AFFINE),
        "dropped",
        says=("same value", "left out"),
    ),
    refused(
        "DICOM, a copy under another name",
        lambda folder: write_series(folder, head(0), AFFINE, reverse=True, uid=OTHER_UID),
        says=("the same voxels as", "sub-01", "Remove one"),
    ),
    refused(
        "DICOM files in the contrast's folder",
        lambda path: write_series(path, head(), AFFINE),
        doubtful="T1w",
        says=("their subject is unknown", "folder of its own"),
    ),
    accepted("DICOM, one series", series()),
    accepted("DICOM, names and numbers out of order", series(shuffle=True, reverse=True)),
    accepted("DICOM, other files beside it", spoilt(0, lambda path: path.with_name("notes.txt").write_text("note"))),
]
