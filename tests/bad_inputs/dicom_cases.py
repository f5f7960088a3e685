"""Folders of DICOM files."""

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bad_inputs.case import Case
from bad_inputs.dicom_series import SERIES_UID, write_enhanced, write_series
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


def spoiled(slice_index: int, spoil: Callable[[Path], object]) -> Callable[[Path], object]:
    """The sound head, and something done to one of its files."""
    return lambda folder: spoil(write_series(folder, head(), AFFINE)[slice_index])


def localizer(dataset: Dataset, index: int) -> None:
    """The first image lies across the others."""
    if index == 0:
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def multi_frame(dataset: Dataset, index: int) -> None:
    """MR whose frames have no place of their own."""
    dataset.NumberOfFrames = 12


def echoes(folder: Path) -> None:
    """The sound head and, later in time, another one."""
    write_series(folder, head(), AFFINE)
    write_series(folder, head(6), AFFINE, name="E{}".format, change=lambda dataset, index: later(dataset))


def later(dataset: Dataset) -> None:
    """A second echo."""
    dataset.EchoTime, dataset.EchoNumbers = "80", 2


def rounded(dataset: Dataset, index: int) -> None:
    """Places to a tenth of a millimetre, as if they were not even."""
    dataset.ImagePositionPatient = [float(value) + 0.04 * (-1) ** index for value in dataset.ImagePositionPatient]
    dataset.ImagePositionPatient = [round(float(value), 1) for value in dataset.ImagePositionPatient]


def without_preamble(folder: Path) -> None:
    """Files without ending, preamble and mark."""
    for path in write_series(folder, head(), AFFINE, name="{}".format):
        path.write_bytes(path.read_bytes()[132:])


def compressed(folder: Path) -> None:
    """``.dcm.gz``."""
    for path in write_series(folder, head(), AFFINE, name="IM{:04d}.dcm.gz".format):
        path.write_bytes(gzip.compress(path.read_bytes()))


def counted(dataset: Dataset, index: int) -> None:
    """Two images more than there are."""
    dataset.ImagesInAcquisition = 14


SHIFTED = AFFINE + np.array([[0, 0, 3, 0], [0] * 4, [0] * 4, [0] * 4])

SERIES = [
    refused(
        "DICOM, several series",
        two_series,
        says=(SERIES_UID, OTHER_UID, "2 series in one folder", "Name one in data.series_uids"),
    ),
    accepted("DICOM, several series with series_uids", two_series, options={"series_uids": [SERIES_UID]}),
    refused(
        "DICOM, missing slice", spoiled(5, Path.unlink), says=("not evenly spaced", "18.00 mm from", "may be missing")
    ),
    refused(
        "DICOM, duplicate slice",
        spoiled(3, lambda path: path.with_name("again.dcm").write_bytes(path.read_bytes())),
        says=("13 images at 12 places", "several at -22.50 mm", "Remove the copies"),
    ),
    refused(
        "DICOM, localizer", series(change=localizer), says=("ImageOrientationPatient", "a localizer?", "Leave it out")
    ),
    refused(
        "DICOM, truncated file",
        spoiled(4, lambda path: path.write_bytes(path.read_bytes()[:-100])),
        says=("IM0005.dcm", "476 bytes of pixel data", "Copy or export it again"),
    ),
    refused(
        "DICOM, file truncated within its header",
        spoiled(4, lambda path: path.write_bytes(path.read_bytes()[:400])),
        says=("IM0005.dcm", "truncated", "Copy or export it again"),
    ),
    refused("DICOM, empty file", spoiled(4, lambda path: path.write_bytes(b"")), says=("IM0005.dcm", "truncated")),
    refused("DICOM, multi-frame", series(change=multi_frame), says=("a multi-frame image", "dcm2niix")),
    accepted("DICOM, enhanced multi-frame", lambda folder: write_enhanced(folder / "image.dcm", head(), AFFINE)),
    refused(
        "DICOM, several echoes",
        echoes,
        says=("EchoTime, EchoNumbers differ", "0: EchoTime 12 ms", "Set data.volume_index to choose one"),
    ),
    accepted("DICOM, several echoes with volume_index", echoes, options={"volume_index": 0}),
    accepted(
        "DICOM, slice positions rounded", series(np.diag([1, 1, 0.111, 1]) @ AFFINE, change=rounded), like_sound=False
    ),
    accepted("DICOM, no ending, no preamble", without_preamble),
    refused("DICOM, .dcm.gz", compressed, says=("IM0001.dcm.gz", "a compressed DICOM file", "gunzip")),
    DicomCase(
        "DICOM, fewer slices than ImagesInAcquisition",
        series(change=counted),
        "warned",
        says=("12 images, but ImagesInAcquisition says 14", "compare with the source"),
        like_sound=True,
    ),
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
    accepted("DICOM, other files beside it", spoiled(0, lambda path: path.with_name("notes.txt").write_text("note"))),
]
