"""NIfTI headers: checked for completeness, then interpreted by nibabel."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.stored_voxels import AGAIN

# Length of a header in bytes, which is its first field, to its class and to the offset of its magic.
HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
MAGIC_AT = {348: 344, 540: 4}

STARTS = tuple(size.to_bytes(4, order) for size in HEADERS for order in ("little", "big"))


def read_content(path: Path, file: BinaryIO) -> tuple[bytes, str]:
    """Read the bytes of a NIfTI or Analyze header, and their byte order: ``"<"`` or ``">"``.

    Raises:
        UnfitFile: the header is truncated, or neither NIfTI nor Analyze.
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
    """Raise unless the header has the magic that belongs to its length.

    Args:
        path: the file, for messages.
        content: bytes of the header, see :func:`read_content`.
        expected: length of a header to its magic.
        hints: start of a wrong magic to what the file may be instead.

    Raises:
        UnfitFile: names the magic found and the one expected.
    """
    wanted, start = expected[len(content)], MAGIC_AT[len(content)]
    magic = content[start : start + len(wanted)]
    if magic != wanted:
        hint = next((f" ({hint})" for begin, hint in hints.items() if magic.startswith(begin)), "")
        raise UnfitFile(path, f"bad magic {magic!r}{hint}; expected {wanted!r}", "Convert it again.")


def header_shape(path: Path, header: nibabel.Nifti1Header) -> tuple[int, ...]:
    """Return the sizes of all axes.

    Raises:
        UnfitFile: there are no axes or too many, or a size is not positive.
    """
    num_axes = int(header["dim"][0])
    if not 1 <= num_axes <= 7:
        raise UnfitFile(path, f"the header claims {num_axes} axes; expected one 3-D volume", "Convert it again.")
    shape = tuple(int(size) for size in header["dim"][1 : num_axes + 1])
    if min(shape) < 1:
        raise UnfitFile(path, f"dimensions {shape}; expected one 3-D volume", "Convert it again.")
    return shape


def voxel_type(path: Path, header: nibabel.Nifti1Header) -> np.dtype:
    """Return the dtype of a voxel, a real number of up to 8 bytes.

    Raises:
        UnfitFile: the dtype is anything else, or contradicts bitpix.
    """
    try:
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        code = int(header["datatype"])
        raise UnfitFile(path, f"unknown voxel type {code}", "Convert it again.") from error
    if dtype.kind not in "iuf" or not 0 < dtype.itemsize <= 8:
        raise UnfitFile(path, f"voxels are {dtype}; expected real gray values", "Convert it, or take its magnitude.")
    if int(header["bitpix"]) != 8 * dtype.itemsize:
        problem = f"the header says {int(header['bitpix'])} bits a voxel, but {dtype} has {8 * dtype.itemsize}"
        raise UnfitFile(path, problem, "Convert it again.")
    return dtype


def data_offset(path: Path, header: nibabel.Nifti1Header, least: int) -> int:
    """Return the offset of the first voxel, in bytes.

    Raises:
        UnfitFile: the offset is below ``least``, or not an integer.
    """
    offset = float(header["vox_offset"])
    if not (np.isfinite(offset) and offset >= least and offset == int(offset)):
        raise UnfitFile(path, f"bad data offset {offset}; expected {least} or more", "Convert it again.")
    return int(offset)
