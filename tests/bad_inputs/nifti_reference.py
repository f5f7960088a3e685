"""A NIfTI file as the standard has it: a second opinion that shares no code with the reader, nor with nibabel.

Strict: whatever the standards of NIfTI-1, NIfTI-2 and gzip forbid is an error, and so is a file longer or shorter than
its header says.

Reference:
    nifti1.h and nifti2.h of the NIfTI Data Format Working Group; RFC 1952 for gzip.
"""

import struct
import zlib
from typing import Any, NamedTuple

import numpy as np

# Where the fields lie: name to offset and struct format, by length of the header.
FIELDS = {
    348: {
        "dim": (40, "8h"),
        "datatype": (70, "h"),
        "bitpix": (72, "h"),
        "pixdim": (76, "8f"),
        "vox_offset": (108, "f"),
        "scl": (112, "2f"),
        "codes": (252, "2h"),
        "quatern": (256, "6f"),
        "srow": (280, "12f"),
    },
    540: {
        "datatype": (12, "h"),
        "bitpix": (14, "h"),
        "dim": (16, "8q"),
        "pixdim": (104, "8d"),
        "vox_offset": (168, "q"),
        "scl": (176, "2d"),
        "codes": (344, "2i"),
        "quatern": (352, "6d"),
        "srow": (400, "12d"),
    },
}
MAGIC = {348: (344, b"n+1\0"), 540: (4, b"n+2\0\r\n\x1a\n")}
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}


class Decoded(NamedTuple):
    """Voxels, (X, Y, Z) float32, voxel to RAS+ mm, and whether that is from the sform."""

    array: np.ndarray
    affine: np.ndarray
    by_sform: bool


class BrokenNiftiError(Exception):
    """The standard forbids it."""


def decode(content: bytes, volume_index: int | None) -> Decoded:
    """Voxels and affine of a file; of a 4-D one the volume asked for."""
    if content[:2] == b"\x1f\x8b":
        content = gunzip(content)
    order, length = byte_order(content)
    fields = {name: unpack(content, order, *where) for name, where in FIELDS[length].items()}
    start, magic = MAGIC[length]
    require(content[start : start + len(magic)] == magic, "magic")
    return Decoded(voxels(content, order, fields, volume_index, length), *affine(fields))


def require(condition: Any, what: str) -> None:
    """Raise unless it holds."""
    if not condition:
        raise BrokenNiftiError(what)


def gunzip(content: bytes) -> bytes:
    """Members one after another, each with its checksum and length; zeros may follow, as the program gzip has it."""
    parts = []
    while content.strip(b"\0"):
        magic, method, flags = struct.unpack_from("<2sBB", content)
        require(magic == b"\x1f\x8b" and method == 8, "gzip header")
        position = 10
        if flags & 4:
            position += 2 + struct.unpack_from("<H", content, position)[0]
        for flag in (8, 16):
            if flags & flag:
                position = content.index(b"\0", position) + 1
        position += 2 if flags & 2 else 0
        inflater = zlib.decompressobj(-15)
        parts.append(inflater.decompress(content[position:]))
        require(inflater.eof and len(inflater.unused_data) >= 8, "end of gzip member")
        checksum, length = struct.unpack_from("<II", inflater.unused_data)
        require(checksum == zlib.crc32(parts[-1]), "gzip checksum")
        require(length == len(parts[-1]) % 2**32, "gzip length")
        content = inflater.unused_data[8:]
    return b"".join(parts)


def byte_order(content: bytes) -> tuple[str, int]:
    """Struct's letter for the order of bytes, and the length of the header."""
    for order in "<>":
        (length,) = struct.unpack_from(f"{order}i", content)
        if length in FIELDS:
            return order, length
    raise BrokenNiftiError("sizeof_hdr")


def unpack(content: bytes, order: str, offset: int, form: str) -> Any:
    """One number, or several."""
    values = struct.unpack_from(order + form, content, offset)
    return values if len(values) > 1 else values[0]


def voxels(content: bytes, order: str, fields: dict[str, Any], volume_index: int | None, length: int) -> np.ndarray:
    """(X, Y, Z) float32, scaled."""
    num_axes, sizes = fields["dim"][0], fields["dim"][1:]
    require(1 <= num_axes <= 7 and min(sizes[:num_axes]) > 0, "dim")
    shape = (*sizes[: min(num_axes, 3)], 1, 1)[:3]
    further = [size for size in sizes[3:num_axes] if size > 1]
    require(not further or (num_axes == 4 and volume_index is not None and volume_index < sizes[3]), "3-D")
    require(fields["datatype"] in TYPES, "datatype")
    dtype = np.dtype(order + TYPES[fields["datatype"]])
    require(fields["bitpix"] == 8 * dtype.itemsize, "bitpix")
    offset = fields["vox_offset"]
    require(offset >= length + 4 and offset == int(offset), "vox_offset")
    count = shape[0] * shape[1] * shape[2]
    num_volumes = further[0] if further else 1
    require(len(content) == offset + count * num_volumes * dtype.itemsize, "length")
    start = int(offset) + (volume_index * count * dtype.itemsize if further else 0)
    stored = np.frombuffer(content, dtype, count, start).reshape(shape, order="F")
    slope, intercept = fields["scl"]
    if slope == 0 or np.isnan(slope):  # the second by custom
        return stored.astype(np.float32)
    with np.errstate(all="ignore"):
        return (slope * stored.astype(np.float64) + intercept).astype(np.float32)


def affine(fields: dict[str, Any]) -> tuple[np.ndarray, bool]:
    """Method 3 of the standard, the sform, where it is set, else method 2, the qform."""
    qform_code, sform_code = fields["codes"]
    matrix = np.eye(4)
    if sform_code > 0:
        matrix[:3] = np.reshape(fields["srow"], (3, 4))
        return matrix, True
    require(qform_code > 0, "qform or sform")
    b, c, d, *offset = fields["quatern"]
    a = np.sqrt(max(0.0, 1 - (b * b + c * c + d * d)))
    rotation = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
    qfac, *spacing = fields["pixdim"][:4]
    matrix[:3, :3] = rotation @ np.diag(spacing) @ np.diag([1, 1, -1 if qfac < 0 else 1])
    matrix[:3, 3] = offset
    return matrix, False
