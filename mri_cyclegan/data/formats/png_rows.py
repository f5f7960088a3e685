"""Whether a PNG holds the rows that it claims: Pillow fills missing ones with 0 and passes over surplus ones."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from mri_cyclegan.data.findings import UnfitFile

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

# First column, first row and steps of the passes, see the PNG specification, section 8.
WHOLE = ((0, 0, 1, 1),)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_rows(path: Path) -> None:
    """Decompress a PNG whose chunks are known to be whole, to the end and its checksum.

    Raises:
        UnfitFile: there are fewer or more bytes than the header claims, or they are broken.
    """
    content = path.read_bytes()
    expected = _num_bytes(*struct.unpack_from(">IIBB2xB", content, 16))
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(b"".join(_image_data(content)), expected + 1))
    except zlib.error as error:
        raise UnfitFile(path, f"truncated or broken picture ({error})", "Export it again.") from error
    if found != expected or not inflater.eof:
        problem = f"truncated or broken picture: its header claims {expected} bytes of rows, it holds "
        problem += f"{found}" if found <= expected else "more"
        raise UnfitFile(path, problem, "Export it again.")


def _num_bytes(width: int, height: int, depth: int, colour_type: int, interlaced: int) -> int:
    total = 0
    for first_column, first_row, across, down in ADAM7 if interlaced else WHOLE:
        columns, rows = -((first_column - width) // across), -((first_row - height) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 - (-columns * depth * CHANNELS[colour_type] // 8))
    return total


def _image_data(content: bytes) -> Iterator[bytes]:
    position = 8
    while position < len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        if name == b"IEND":
            return
        if name == b"IDAT":
            yield content[position + 8 : position + 8 + length]
        position += 12 + length
