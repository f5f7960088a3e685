"""Reads the voxels of one volume from a file.

The bytes are read here, not by nibabel: common readers stop at the last voxel, so they never verify a compressed file's
checksum, and they allocate whatever size a header claims.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.volume import MAX_VOXELS, ReadOptions

AGAIN = "Download or convert it again."

# Suffix of a plain file to that of a compressed one.
COMPRESSED = {".nii": ".nii.gz", ".hdr": ".hdr.gz", ".img": ".img.gz", ".mgh": ".mgz"}

# Maximum compression ratio of deflate.
MAX_COMPRESSION = 1032


class StoredVoxels(NamedTuple):
    """Where the voxels of one volume lie in a file, in bytes, and how they are stored.

    Attributes:
        shape: shape of the volume.
        dtype: dtype of a voxel, with its byte order.
        start: offset of the first voxel.
        end: offset after the last voxel.
        file_end: offset after the last voxel of the last volume.
        max_tail: maximum number of bytes after ``file_end``.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    start: int
    end: int
    file_end: int
    max_tail: int


@contextmanager
def open_stream(path: Path, kind: str, starts: tuple[bytes, ...]) -> Iterator[BinaryIO]:
    """Open a file and decompress its content as it is read.

    Args:
        path: must have a suffix from ``COMPRESSED``.
        kind: what the file should be, for messages.
        starts: possible first bytes of such a file when it is not compressed.

    Raises:
        UnfitFile: the file is empty or broken, or its suffix and its compression disagree.
    """
    try:
        with _open(path, kind, starts) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnfitFile(path, f"the compressed data is truncated or broken ({error})", AGAIN) from error


def _open(path: Path, kind: str, starts: tuple[bytes, ...]) -> BinaryIO:
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise UnfitFile(path, "the file is empty", AGAIN)
    name = path.name.lower()
    plain, packed = next(pair for pair in COMPRESSED.items() if name.endswith(pair))
    compressed, named_compressed = start.startswith(b"\x1f\x8b\x08"[: len(start)]), name.endswith(packed)
    if compressed and not named_compressed:
        raise UnfitFile(path, f"gzip data in a file named {plain}", f"Rename it to {packed}.")
    if named_compressed and not compressed:
        if start.startswith(starts):
            raise UnfitFile(path, f"not compressed, though named {packed}", f"Rename it to {plain}.")
        raise UnfitFile(path, f"neither gzip data nor {kind}: it starts with {start!r}", AGAIN)
    return gzip.open(path) if compressed else path.open("rb")  # type: ignore[return-value]


def locate_volume(
    path: Path,
    file: BinaryIO,
    shape: tuple[int, ...],
    dtype: np.dtype,
    offset: int,
    options: ReadOptions,
    max_tail: int = 0,
) -> StoredVoxels:
    """Locate a volume in a file, after checking the header's claims against the file's size.

    Args:
        path: the file, for messages.
        file: its content, see :func:`open_stream`.
        shape: sizes of all axes, as the header claims.
        dtype: dtype of a voxel.
        offset: offset of the first voxel of the first volume, in bytes.
        options: ``volume_index`` chooses one volume of a 4-D image.
        max_tail: maximum number of bytes after the last voxel.

    Raises:
        UnfitFile: the volume is too large, the file's size contradicts the header, or no volume was chosen.
    """
    volume_shape: tuple[int, int, int] = (*shape, 1, 1)[:3]  # type: ignore[assignment]
    num_voxels = int(np.prod(volume_shape, dtype=object))
    if num_voxels > MAX_VOXELS:
        problem = f"the header claims {num_voxels:,} voxels; at most {MAX_VOXELS:,} are read"
        raise UnfitFile(path, problem, "Crop or resample it.")
    start = offset + _volume_index(path, shape, options.volume_index) * num_voxels * dtype.itemsize
    file_end = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
    size, compressed = path.stat().st_size, isinstance(file, gzip.GzipFile)
    if file_end > (size * MAX_COMPRESSION if compressed else size):
        problem = f"truncated: the header claims {file_end:,} bytes, the file's {size:,} cannot hold them"
        raise UnfitFile(path, problem, AGAIN)
    if not compressed and file_end + max_tail < size:
        problem = f"{size - file_end:,} bytes after the last voxel, so header and voxels disagree"
        raise UnfitFile(path, problem, AGAIN)
    return StoredVoxels(volume_shape, dtype, start, start + num_voxels * dtype.itemsize, file_end, max_tail)


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


def read_voxels(path: Path, file: BinaryIO, stored: StoredVoxels) -> np.ndarray:
    """Read a file to its last byte and return the stored voxels, (X, Y, Z).

    Raises:
        UnfitFile: the file ends early, or holds more than the header says.
    """
    raw = np.empty(stored.end - stored.start, dtype=np.uint8)
    skip(file, stored.start - file.tell())
    num_read = _read_into(file, raw)
    num_skipped = skip(file, stored.file_end - stored.end)
    if num_read < len(raw) or num_skipped < stored.file_end - stored.end:
        raise UnfitFile(path, "truncated: the voxel data ends early", AGAIN)
    skip(file, stored.max_tail)
    if file.read(1):
        raise UnfitFile(path, "there are bytes after the last voxel, so header and voxels disagree", AGAIN)
    return raw.view(stored.dtype).reshape(stored.shape, order="F")


def _read_into(file: BinaryIO, raw: np.ndarray) -> int:
    """Fill ``raw`` as far as the file reaches; return the number of bytes read."""
    view, num_read = memoryview(raw), 0  # type: ignore[arg-type]
    while num_read < len(view):
        count = file.readinto(view[num_read : num_read + 2**24])  # type: ignore[attr-defined]
        if not count:
            break
        num_read += count
    return num_read


def skip(file: BinaryIO, num_bytes: int) -> int:
    """Read and discard bytes, so that the checksum covers them; return the number of bytes read."""
    num_read = 0
    while num_read < num_bytes and (chunk := file.read(min(2**20, num_bytes - num_read))):
        num_read += len(chunk)
    return num_read


def apply_scaling(path: Path, array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return ``slope`` * stored value + ``intercept``, (X, Y, Z) float32; a slope of 0 or NaN means "not scaled".

    Raises:
        UnfitFile: the slope or intercept is set but not finite.
    """
    if np.isnan(slope) or slope == 0:
        slope, intercept = 1.0, 0.0  # how the standard and nibabel mark "not scaled"
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise UnfitFile(path, f"scl_slope {slope} and scl_inter {intercept} are not finite", "Convert it again.")
    with np.errstate(over="ignore", invalid="ignore"):  # overflow gives infinity, which is rejected later
        if (slope, intercept) == (1.0, 0.0):
            return np.ascontiguousarray(array, dtype=np.float32)
        result = np.empty(array.shape, dtype=np.float32)
        for row, stored in zip(result, array, strict=True):  # all at once takes three times the memory of the result
            row[...] = stored.astype(np.float64) * slope + intercept
        return result
