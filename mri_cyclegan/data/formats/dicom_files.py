"""Finds the DICOM files of a folder."""

import stat
import struct
from pathlib import Path

from mri_cyclegan.data.formats.mgh import MGH_SUFFIXES
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES

PREAMBLE_AND_MARK = bytes(128) + b"DICM"  # the preamble may hold anything, but nearly always holds zeros
NUM_START_BYTES = 1024  # enough to recognize a DICOM file

_SUFFIXES = (".dcm", ".ima", ".dcm.gz", ".ima.gz")

# A file with one of these suffixes is an image in another format, whatever its content.
_OTHERS = (*NIFTI_SUFFIXES, *MGH_SUFFIXES, *PICTURE_SUFFIXES)


def is_marked(start: bytes) -> bool:
    """Whether a file begins with the preamble and ``DICM`` mark that the standard requires."""
    return start[128:132] == b"DICM"


def begins_data_set(start: bytes) -> bool:
    """Whether a file begins directly with two header elements, without preamble and mark, as in old archives."""
    if len(start) < 12:
        return False
    group, element, kind, length = struct.unpack_from("<HH2sH", start)
    if not is_explicit(start):
        length = int.from_bytes(kind, "little") + (length << 16)
    second = start[8 + length : 12 + length]
    if group not in (2, 8) or len(second) < 4:
        return False
    next_group, next_element = struct.unpack("<HH", second)
    return (group, element) < (next_group, next_element) and next_group in (2, 8)


def is_explicit(start: bytes) -> bool:
    """Whether the first element of a data set names its value representation, such as ``CS``."""
    return start[4:6].isalpha() and start[4:6].isupper()


def series_files(folder: Path) -> list[Path]:
    """List the DICOM files of a folder, sorted by name: recognized by content, or by the suffix ``.dcm`` or ``.ima``.

    If there are any, files that cannot be read or end before the mark are listed too. They may be slices, so reading
    the series must fail on them.
    """
    kinds = {path: _kind(path) for path in folder.iterdir()}
    # Doubtful files alone do not make a DICOM folder.
    return sorted(path for path in kinds if kinds[path]) if "dicom" in kinds.values() else []


def _kind(path: Path) -> str:
    """Return ``"dicom"``, ``"doubtful"``, or ``""`` for anything else."""
    name = path.name.lower()
    if name.startswith(".") or name == "dicomdir" or name.endswith(_OTHERS) or _is_not_regular_file(path):
        return ""
    if name.endswith(_SUFFIXES):
        return "dicom"
    try:
        with path.open("rb") as file:
            start = file.read(NUM_START_BYTES)
    except OSError:
        return "doubtful"
    if is_marked(start) or begins_data_set(start):
        return "dicom"
    return "doubtful" if PREAMBLE_AND_MARK.startswith(start) else ""


def _is_not_regular_file(path: Path) -> bool:
    """Whether it is not a regular file; False for a broken or inaccessible link, which may stand for a slice."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
