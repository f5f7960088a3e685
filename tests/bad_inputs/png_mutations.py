"""Sound gray PNG files, and ways to spoil them by chance."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from bad_inputs.nifti_mutations import flip
from bad_inputs.picture_cases import chunk
from bad_inputs.png_reference import SIGNATURE, read_chunks
from numpy.random import Generator
from PIL import Image, PngImagePlugin

# Fields of IHDR: offset in it, struct format, values to try.
HEADER = (
    (0, ">I", (0, 1, 12, 13, 14, 26, 70_000, 2**31)),
    (4, ">I", (0, 1, 10, 11, 12, 22, 70_000, 2**31)),
    (8, "B", (0, 1, 2, 4, 8, 16, 32)),
    (9, "B", (0, 1, 2, 3, 4, 6, 7)),
    (10, "B", (0, 1)),
    (11, "B", (0, 1)),
    (12, "B", (0, 1, 2)),
)


def bases() -> dict[str, bytes]:
    """8 and 16 bit, smooth enough that an encoder uses all filters, with and without further chunks."""
    random = np.random.default_rng(3)
    smooth = np.add.outer(np.arange(11) * 9, np.arange(13) * 5) + random.integers(0, 6, (11, 13))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "a slice")
    sound = {}
    for name, array, info in (
        ("8-bit", smooth.astype(np.uint8), None),
        ("16-bit", (smooth * 300).astype(np.uint16), None),
        ("8-bit with text", smooth.astype(np.uint8), notes),
    ):
        content = io.BytesIO()
        Image.fromarray(array).save(content, "PNG", pnginfo=info)
        sound[name] = content.getvalue()
    return sound


def unchanged(content: bytes, random: Generator) -> bytes:
    return content


def bits(content: bytes, random: Generator) -> bytes:
    return flip(content, random, 0, len(content))


def truncated(content: bytes, random: Generator) -> bytes:
    return content[: random.integers(len(content))]


def extended(content: bytes, random: Generator) -> bytes:
    return content + random.bytes(int(random.integers(1, 64)))


def header(content: bytes, random: Generator) -> bytes:
    """With a checksum that fits."""
    chunks = list(read_chunks(content))
    fields = bytearray(chunks[0][1])
    for index in random.choice(len(HEADER), random.integers(1, 3), replace=False):
        offset, form, values = HEADER[index]
        struct.pack_into(form, fields, offset, int(random.choice(values)))
    return joined([(b"IHDR", bytes(fields)), *chunks[1:]])


def packed_rows(content: bytes, random: Generator) -> bytes:
    """With a checksum that fits."""
    return joined(
        [(name, flip(data, random, 0, len(data)) if name == b"IDAT" else data) for name, data in read_chunks(content)]
    )


def rows(content: bytes, random: Generator) -> bytes:
    """Spoiled before they are compressed."""
    chunks = []
    for name, data in read_chunks(content):
        if name == b"IDAT":
            raw = zlib.decompress(data)
            change = random.integers(3)
            spoiled = (flip(raw, random, 0, len(raw)), raw[: random.integers(len(raw))], raw + random.bytes(20))[change]
            data = zlib.compress(spoiled)
        chunks.append((name, data))
    return joined(chunks)


def order(content: bytes, random: Generator) -> bytes:
    """A chunk left out, repeated, or in another place."""
    chunks = list(read_chunks(content))
    index, other = (int(value) for value in random.integers(len(chunks), size=2))
    moved = chunks.pop(index)
    if random.random() < 0.7:
        chunks.insert(other, moved)
    if random.random() < 0.3:
        chunks.insert(index, moved)
    return joined(chunks)


def joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file of these."""
    return SIGNATURE + b"".join(chunk(name, data) for name, data in chunks)


KINDS: dict[str, Callable[[bytes, Generator], bytes]] = {
    function.__name__: function for function in (unchanged, bits, truncated, extended, header, packed_rows, rows, order)
}


def mutant(number: int, sound: dict[str, bytes]) -> tuple[str, str, bytes]:
    """The kind of a numbered file, the name of what it was made of, and its bytes."""
    kind = list(KINDS)[number % len(KINDS)]
    name = list(sound)[number // len(KINDS) % len(sound)]
    return kind, name, KINDS[kind](sound[name], np.random.default_rng([13, number]))
