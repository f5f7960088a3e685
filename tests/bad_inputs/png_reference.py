"""A PNG file as the standard has it, without Pillow.

Gray of 2, 4, 8 or 16 bits, with alpha or as equal colors too, interlaced or not. Few bits a pixel become 8, white 255.

Reference:
    Portable Network Graphics (PNG) Specification, third edition, W3C 2025; sections 5, 7 to 9 and 13.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
DEPTHS = {0: (2, 4, 8, 16), 2: (8,), 4: (8,), 6: (8,)}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class BrokenPNGError(Exception):
    """The standard forbids it, or it is not gray."""


def require(condition: Any, what: str) -> None:
    """Raise unless it holds."""
    if not condition:
        raise BrokenPNGError(what)


def decode(content: bytes) -> np.ndarray:
    """Intensities, (H, W), uint8 or uint16."""
    require(content.startswith(SIGNATURE), "signature")
    chunks = list(read_chunks(content))
    require(chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13, "IHDR")
    width, height, depth, color_type, compression, filtering, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    require(width and height and compression == filtering == 0 and interlaced < 2, "IHDR")
    require(depth in DEPTHS.get(color_type, ()), "depth and color type")
    places = [index for index, (name, _) in enumerate(chunks) if name == b"IDAT"]
    require(places and places == list(range(places[0], places[-1] + 1)), "IDAT")
    inflater = zlib.decompressobj()
    rows = inflater.decompress(b"".join(chunks[index][1] for index in places))
    require(inflater.eof, "end of zlib stream")
    samples = np.zeros((height, width, CHANNELS[color_type]), np.uint16 if depth == 16 else np.uint8)
    position = 0
    for x, y, across, down in PASSES if interlaced else ((0, 0, 1, 1),):
        part = samples[y::down, x::across]
        if part.size:
            position += unfilter(rows[position:], part, depth)
    require(position == len(rows), "surplus rows")
    colors = samples[..., : 3 if samples.shape[2] > 2 else 1]
    require((colors == colors[..., :1]).all(), "colors")
    return colors[..., 0]


def read_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each, up to the last."""
    position, name = 8, b""
    while name != b"IEND":
        require(position + 12 <= len(content), "truncated")
        length, name = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        require(end + 4 <= len(content), "truncated")
        (checksum,) = struct.unpack_from(">I", content, end)
        require(checksum == zlib.crc32(content[position + 4 : end]), "checksum")
        yield name, content[position + 8 : end]
        position = end + 4


def unfilter(rows: bytes, samples: np.ndarray, depth: int) -> int:
    """Write the samples of a pass, (H, W, C); returns how many bytes it took."""
    height, width, channels = samples.shape
    length, step = -(-width * channels * depth // 8), max(1, channels * depth // 8)
    require(len(rows) >= height * (length + 1), "missing rows")
    above = [0] * length
    for number in range(height):
        start = number * (length + 1)
        above = restored(rows[start], list(rows[start + 1 : start + 1 + length]), above, step)
        samples[number] = unpacked(bytes(above), depth)[: width * channels].reshape(width, channels)
    return height * (length + 1)


def restored(kind: int, row: list[int], above: list[int], step: int) -> list[int]:
    """A row from the differences to its neighbors that were stored."""
    require(kind < 5, "filter")
    for index in range(len(row)):
        left = row[index - step] if index >= step else 0
        corner = above[index - step] if index >= step else 0
        estimate = left + above[index] - corner
        nearest = min((left, above[index], corner), key=lambda value: abs(estimate - value))
        row[index] += (0, left, above[index], (left + above[index]) // 2, nearest)[kind]
        row[index] %= 256
    return row


def unpacked(row: bytes, depth: int) -> np.ndarray:
    """Samples of a row of bytes."""
    if depth >= 8:
        return np.frombuffer(row, ">u2" if depth == 16 else "u1")
    bits = np.unpackbits(np.frombuffer(row, np.uint8)).reshape(-1, depth)
    return bits @ (1 << np.arange(depth)[::-1]) * (255 // (2**depth - 1))
