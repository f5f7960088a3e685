"""Which files of a folder are DICOM."""

import stat
import struct
from pathlib import Path

from mri_cyclegan.data.formats.mgh import MGH_SUFFIXES
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES

START = bytes(128) + b"DICM"  # the preamble may hold anything, but nearly always holds zeros
NUM_START_BYTES = 1024  # enough to know a file by

_SUFFIXES = (".dcm", ".ima", ".dcm.gz", ".ima.gz")

# What is named like this is an image of its own, whatever is in it.
_OTHERS = (*NIFTI_SUFFIXES, *MGH_SUFFIXES, *PICTURE_SUFFIXES)


def is_marked(start: bytes) -> bool:
    """Whether a file begins with a preamble and the mark, as the standard wants it."""
    return start[128:132] == b"DICM"


def begins_data_set(start: bytes) -> bool:
    """Whether a file begins at once with two elements of a header, without preamble and mark, as in old archives."""
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
    """The DICOM files of a folder, sorted by name: marked as such inside, or named ``.dcm`` or ``.ima``.

    Beside DICOM files, one that cannot be read, or ends before the place of the mark, is listed too, so that reading
    refuses it: it may be a slice.
    """
    kinds = {path: _kind(path) for path in folder.iterdir()}
    # A lone doubtful file does not make a folder of DICOM files.
    return sorted(path for path in kinds if kinds[path]) if "dicom" in kinds.values() else []


def _kind(path: Path) -> str:
    """``"dicom"``, ``"doubtful"``, or ``""`` for anything else."""
    name = path.name.lower()
    if name.startswith(".") or name == "dicomdir" or name.endswith(_OTHERS) or _is_no_file(path):
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
    return "doubtful" if START.startswith(start) else ""


def _is_no_file(path: Path) -> bool:
    """False of a link that leads nowhere or may not be followed: it may stand for a slice."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
