"""Checks that a PNG is complete: Pillow fills missing rows with 0, ignores surplus rows, and skips checksums."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from mri_cyclegan.data.findings import UnfitFile

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

# Valid combinations of compression, filter and interlace method.
METHODS = ((0, 0, 0), (0, 0, 1))

# First column, first row, column step and row step of each pass, see the PNG specification, section 8.
NO_INTERLACING = ((0, 0, 1, 1),)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_png_integrity(path: Path) -> None:
    """Raise unless all chunks of a PNG match their checksums and it has as many rows as its header claims.

    Raises:
        UnfitFile: the PNG is truncated or broken.
    """
    try:
        chunks = list(_chunks(path.read_bytes()))
        expected = _num_bytes(*chunks[0])
        inflater = zlib.decompressobj()
        found = len(inflater.decompress(b"".join(data for name, data in chunks if name == b"IDAT"), expected + 1))
        if found != expected or not inflater.eof:
            amount = found if found <= expected else "more"
            raise ValueError(f"its header claims {expected} bytes of rows, it holds {amount}")
        if chunks[0][1][9] == 3 and b"PLTE" not in dict(chunks):
            raise ValueError("its palette is missing")
    except (ValueError, struct.error, zlib.error) as error:
        raise UnfitFile(path, f"truncated or broken picture ({error})", "Export it again.") from error


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and data of each chunk."""
    position, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", content, position)
        data = content[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, position + 8 + length)
        if zlib.crc32(name + data) != checksum:
            raise ValueError(f"wrong checksum at byte {position}")
        yield name, data
        position += 12 + length


def _num_bytes(name: bytes, header: bytes) -> int:
    """Return the uncompressed size of all rows in bytes, from the header chunk."""
    width, height, depth, color_type, *methods = struct.unpack(">IIBB3B", header)
    if name != b"IHDR" or color_type not in CHANNELS or tuple(methods) not in METHODS:
        raise ValueError("it does not begin with a sound header")
    total = 0
    for first_column, first_row, across, down in ADAM7 if methods[2] else NO_INTERLACING:
        columns, rows = -((first_column - width) // across), -((first_row - height) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 - (-columns * depth * CHANNELS[color_type] // 8))
    return total
