"""NIfTI-1 and NIfTI-2 files.

nibabel interprets the header. The bytes are read here: every common reader stops at the last voxel, so that it never
reaches a compressed file's checksum, and allocates whatever a header claims.
"""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from mri_cyclegan.atomic_files import atomic_file
from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.nifti_affine import voxel_affine
from mri_cyclegan.data.volume import MAX_VOXELS, ReadOptions, Volume

NIFTI_SUFFIXES = (".nii", ".nii.gz")

# Deflate cannot shrink anything further than this.
MAX_COMPRESSION = 1032

_HEADER_BYTES = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
_MAGIC = {348: b"n+1\0", 540: b"n+2\0\r\n\x1a\n"}
_MAGIC_AT = {348: 344, 540: 4}
_AGAIN = "Download or convert it again."


class _Layout(NamedTuple):
    """Where the voxels lie in the file."""

    header: nibabel.Nifti1Header
    shape: tuple[int, int, int]
    dtype: np.dtype
    start: int
    end: int
    file_end: int


def read_nifti(path: Path, options: ReadOptions) -> Volume:
    """Read a whole file, to its last byte, and keep one volume of it.

    Raises:
        UnfitFile: anything about the file is broken, or more than one volume is in it and none was chosen.
    """
    with _open(path) as file:
        try:
            layout = _read_layout(path, file, options)
            affine, warnings = voxel_affine(path, layout.header, layout.shape, options)
            raw = np.empty(layout.end - layout.start, dtype=np.uint8)
            _skip(file, layout.start - file.tell())
            num_read = _read_into(file, raw)
            num_skipped = _skip(file, layout.file_end - layout.end)
            if num_read < len(raw) or num_skipped < layout.file_end - layout.end:
                raise UnfitFile(path, "truncated: the voxel data ends early", _AGAIN)
            if file.read(1):
                raise UnfitFile(path, "there are bytes after the last voxel, so header and voxels disagree", _AGAIN)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnfitFile(path, f"the compressed data is truncated or broken ({error})", _AGAIN) from error
    array = raw.view(layout.dtype).reshape(layout.shape, order="F")
    return Volume(_scaled(path, array, layout.header), affine, tuple(warnings))


def nifti_shape(path: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine by the header alone.

    Raises:
        UnfitFile: the header is broken.
    """
    with _open(path) as file:
        try:
            layout = _read_layout(path, file, options)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnfitFile(path, f"the compressed data is truncated or broken ({error})", _AGAIN) from error
    return layout.shape, voxel_affine(path, layout.header, layout.shape, options)[0]


def write_volume(path: str | Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write a NIfTI file that appears whole or not at all.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``; replaced if it exists.
        array: (X, Y, Z), of the dtype to store.
        affine: (4, 4), voxel indices to RAS+ mm.
    """
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    with atomic_file(Path(path), sync=False) as partial:
        nibabel.save(image, partial)


def _open(path: Path) -> BinaryIO:
    """The file's content, decompressed as it is read."""
    with path.open("rb") as file:
        start = file.read(4)
    compressed = start[:2] == b"\x1f\x8b"
    named_compressed = path.name.lower().endswith(".gz")
    if not start:
        raise UnfitFile(path, "the file is empty", _AGAIN)
    if compressed and not named_compressed:
        raise UnfitFile(path, "gzip data in a file named .nii", "Rename it to .nii.gz.")
    if named_compressed and not compressed:
        if int.from_bytes(start, "little") in _HEADER_BYTES or int.from_bytes(start, "big") in _HEADER_BYTES:
            raise UnfitFile(path, "not compressed, though named .gz", "Rename it to .nii.")
        raise UnfitFile(path, f"neither gzip data nor NIfTI: it starts with {start!r}", _AGAIN)
    return gzip.open(path) if compressed else path.open("rb")  # type: ignore[return-value]


def _read_layout(path: Path, file: BinaryIO, options: ReadOptions) -> _Layout:
    header = _read_header(path, file)
    full_shape = _full_shape(path, header)
    dtype = _dtype(path, header)
    shape: tuple[int, int, int] = (*full_shape, 1, 1)[:3]  # type: ignore[assignment]
    num_voxels = int(np.prod(shape, dtype=object))
    if num_voxels > MAX_VOXELS:
        raise UnfitFile(
            path, f"the header claims {num_voxels:,} voxels; at most {MAX_VOXELS:,} are read", "Crop or resample it."
        )
    volume_index = _volume_index(path, full_shape, options.volume_index)
    volume_bytes = num_voxels * dtype.itemsize
    offset = _data_offset(path, header)
    file_end = offset + int(np.prod(full_shape, dtype=object)) * dtype.itemsize
    size = path.stat().st_size
    at_most = size * MAX_COMPRESSION if isinstance(file, gzip.GzipFile) else size
    if file_end > at_most:
        problem = f"truncated: the header claims {file_end:,} bytes, the file's {size:,} cannot hold them"
        raise UnfitFile(path, problem, _AGAIN)
    if not isinstance(file, gzip.GzipFile) and file_end < size:
        problem = f"{size - file_end:,} bytes after the last voxel, so header and voxels disagree"
        raise UnfitFile(path, problem, _AGAIN)
    start = offset + volume_index * volume_bytes
    return _Layout(header, shape, dtype, start, start + volume_bytes, file_end)


def _read_header(path: Path, file: BinaryIO) -> nibabel.Nifti1Header:
    content = file.read(348)
    for order, endianness in (("little", "<"), ("big", ">")):
        num_bytes = int.from_bytes(content[:4], order)  # type: ignore[arg-type]
        if num_bytes in _HEADER_BYTES:
            content += file.read(num_bytes - 348)
            if len(content) < num_bytes:
                break
            expected, start = _MAGIC[num_bytes], _MAGIC_AT[num_bytes]
            magic = content[start : start + len(expected)]
            if magic != expected:
                hint = " (header and voxels in two files)" if magic.startswith((b"ni1", b"ni2")) else ""
                raise UnfitFile(path, f"bad magic {magic!r}{hint}; expected {expected!r}", "Convert it again.")
            return _HEADER_BYTES[num_bytes](content, endianness, check=False)
    if len(content) < 348:
        raise UnfitFile(path, f"truncated: {len(content)} bytes are too few for a NIfTI header", _AGAIN)
    raise UnfitFile(path, f"no NIfTI header: it starts with {content[:8]!r}", "Convert it to NIfTI.")


def _full_shape(path: Path, header: nibabel.Nifti1Header) -> tuple[int, ...]:
    num_axes = int(header["dim"][0])
    if not 1 <= num_axes <= 7:
        raise UnfitFile(path, f"the header claims {num_axes} axes; expected one 3-D volume", "Convert it again.")
    shape = tuple(int(size) for size in header["dim"][1 : num_axes + 1])
    if min(shape) < 1:
        raise UnfitFile(path, f"dimensions {shape}; expected one 3-D volume", "Convert it again.")
    return shape


def _dtype(path: Path, header: nibabel.Nifti1Header) -> np.dtype:
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


def _data_offset(path: Path, header: nibabel.Nifti1Header) -> int:
    offset = float(header["vox_offset"])
    least = int(header["sizeof_hdr"]) + 4
    if not (np.isfinite(offset) and offset >= least and offset == int(offset)):
        raise UnfitFile(path, f"bad data offset {offset}; expected {least} or more", "Convert it again.")
    return int(offset)


def _volume_index(path: Path, shape: tuple[int, ...], volume_index: int | None) -> int:
    if all(size == 1 for size in shape[3:]):
        return 0
    if len(shape) != 4:
        raise UnfitFile(path, f"{len(shape)}-D image {shape}; expected one 3-D volume", "Split the file.")
    if volume_index is None:
        remedy = "Set data.volume_index to choose one, or split the file (e.g. with fslsplit)."
        raise UnfitFile(path, f"4-D image {shape}; expected one 3-D volume", remedy)
    if not 0 <= volume_index < shape[3]:
        problem = f"data.volume_index={volume_index}, but the file holds volumes 0 to {shape[3] - 1}"
        raise UnfitFile(path, problem, "Choose one of these.")
    return volume_index


def _read_into(file: BinaryIO, raw: np.ndarray) -> int:
    """Fill ``raw`` as far as the file reaches; returns the number of bytes."""
    view, num_read = memoryview(raw), 0  # type: ignore[arg-type]
    while num_read < len(view):
        count = file.readinto(view[num_read : num_read + 2**24])  # type: ignore[attr-defined]
        if not count:
            break
        num_read += count
    return num_read


def _skip(file: BinaryIO, num_bytes: int) -> int:
    """Read on, so that the checksum sees every byte, without keeping any; returns how far the file reached."""
    num_read = 0
    while num_read < num_bytes and (chunk := file.read(min(2**20, num_bytes - num_read))):
        num_read += len(chunk)
    return num_read


def _scaled(path: Path, array: np.ndarray, header: nibabel.Nifti1Header) -> np.ndarray:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isnan(slope) or slope == 0:
        slope, intercept = 1.0, 0.0  # the standard's and nibabel's ways to say "not scaled"
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise UnfitFile(path, f"scl_slope {slope} and scl_inter {intercept} are not finite", "Convert it again.")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes infinite, and is refused as such
        if (slope, intercept) == (1.0, 0.0):
            return np.ascontiguousarray(array, dtype=np.float32)
        scaled = np.empty(array.shape, dtype=np.float32)
        for row, stored in zip(scaled, array, strict=True):  # all at once takes three times the memory of the result
            row[...] = stored.astype(np.float64) * slope + intercept
        return scaled
