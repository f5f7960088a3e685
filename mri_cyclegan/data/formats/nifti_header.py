"""NIfTI headers, which nibabel interprets once they are known to be whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.stored_voxels import AGAIN

# Length of a header, which is its first field, to its class and the place of its magic.
HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
MAGIC_AT = {348: 344, 540: 4}

STARTS = tuple(size.to_bytes(4, order) for size in HEADERS for order in ("little", "big"))


def read_content(path: Path, file: BinaryIO) -> tuple[bytes, str]:
    """The bytes of a NIfTI or Analyze header, and their order: ``"<"`` or ``">"``.

    Raises:
        UnfitFile: it is truncated, or no such header.
    """
    content = file.read(348)
    for order, endianness in (("little", "<"), ("big", ">")):
        num_bytes = int.from_bytes(content[:4], order)  # type: ignore[arg-type]
        if num_bytes in HEADERS:
            content += file.read(num_bytes - 348)
            if len(content) < num_bytes:
                break
            return content, endianness
    if len(content) < 348:
        raise UnfitFile(path, f"truncated: {len(content)} bytes are too few for a NIfTI header", AGAIN)
    raise UnfitFile(path, f"no NIfTI header: it starts with {content[:8]!r}", "Convert it to NIfTI.")


def check_magic(path: Path, content: bytes, expected: Mapping[int, bytes], hints: Mapping[bytes, str]) -> None:
    """Refuse a header whose magic is not that of its length.

    Args:
        path: the file, for messages.
        content: see :func:`read_content`.
        expected: length of a header to its magic.
        hints: how a magic begins to what the file may be instead.

    Raises:
        UnfitFile: names both.
    """
    wanted, start = expected[len(content)], MAGIC_AT[len(content)]
    magic = content[start : start + len(wanted)]
    if magic != wanted:
        hint = next((f" ({hint})" for begin, hint in hints.items() if magic.startswith(begin)), "")
        raise UnfitFile(path, f"bad magic {magic!r}{hint}; expected {wanted!r}", "Convert it again.")


def full_shape(path: Path, header: nibabel.Nifti1Header) -> tuple[int, ...]:
    """Sizes of all axes.

    Raises:
        UnfitFile: there are none, or too many, or one is not positive.
    """
    num_axes = int(header["dim"][0])
    if not 1 <= num_axes <= 7:
        raise UnfitFile(path, f"the header claims {num_axes} axes; expected one 3-D volume", "Convert it again.")
    shape = tuple(int(size) for size in header["dim"][1 : num_axes + 1])
    if min(shape) < 1:
        raise UnfitFile(path, f"dimensions {shape}; expected one 3-D volume", "Convert it again.")
    return shape


def voxel_type(path: Path, header: nibabel.Nifti1Header) -> np.dtype:
    """Type of a voxel, a real number of up to 8 bytes.

    Raises:
        UnfitFile: it is anything else.
    """
    try:
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        code = int(header["datatype"])
        raise UnfitFile(path, f"unknown voxel type {code}", "Convert it again.") from error
    if dtype.kind not in "iuf" or not 0 < dtype.itemsize <= 8:
        raise UnfitFile(path, f"voxels are {dtype}; expected real grey values", "Convert it, or take its magnitude.")
    if int(header["bitpix"]) != 8 * dtype.itemsize:
        problem = f"the header says {int(header['bitpix'])} bits a voxel, but {dtype} has {8 * dtype.itemsize}"
        raise UnfitFile(path, problem, "Convert it again.")
    return dtype


def data_offset(path: Path, header: nibabel.Nifti1Header, least: int) -> int:
    """Where the voxels begin, in bytes.

    Raises:
        UnfitFile: before ``least``, or at no whole number.
    """
    offset = float(header["vox_offset"])
    if not (np.isfinite(offset) and offset >= least and offset == int(offset)):
        raise UnfitFile(path, f"bad data offset {offset}; expected {least} or more", "Convert it again.")
    return int(offset)
