"""PNG and JPEG files."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bad_inputs.case import Case, content
from bad_inputs.heads import picture
from PIL import Image

PictureCase = partial(
    Case, layout="png", doubtful="T1w/sub-05.png", options={"subject_pattern": "(sub-..)"}, like_sound=False
)
refused = partial(PictureCase, outcome="refused")
accepted = partial(PictureCase, outcome="accepted", like_sound=True)

GRAY = "expected gray"
EXPORT = "Export"


def chunk(name: bytes, data: bytes) -> bytes:
    """Length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(array: np.ndarray, *, size: tuple[int, int] | None = None, color_type: int | None = None) -> bytes:
    """A PNG file by the letter of its specification.

    Args:
        array: (H, W) or (H, W, C), uint8 or uint16.
        size: width and height for the header to claim.
        color_type: 0 gray, 2 colors, 4 gray and alpha, 6 colors and alpha; by the channels if not given.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if color_type is None else color_type
    width, height = size or array.shape[1::-1]
    header = struct.pack(">IIBBBBB", width, height, 8 * array.dtype.itemsize, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(array.dtype.newbyteorder(">")).tobytes() for row in array)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def in_mode(mode: str) -> Callable[[Path], object]:
    """The sound picture in another mode of Pillow; where it has alpha, a gradient."""

    def make(path: Path) -> None:
        image = Image.fromarray(picture()).convert(mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(path)

    return make


def palette(*weights: float) -> Callable[[Path], object]:
    """The sound picture as indices into a palette that runs from bright to dark, each channel with its weight."""

    def make(path: Path) -> None:
        image = Image.fromarray(255 - picture()).convert("P")
        image.putdata(list((255 - picture()).ravel()))
        image.putpalette([int(weight * (255 - index)) for index in range(256) for weight in weights])
        image.save(path)

    return make


def colored(array: np.ndarray) -> np.ndarray:
    """Three channels, the middle one darker."""
    return (array[..., None] * np.array([1, 0.8, 1])).astype(array.dtype)


# Odd bits wherever there is room below: black stays black.
DEEP = picture().astype(np.uint16) * 257
DEEP -= np.minimum(DEEP, np.arange(36, dtype=np.uint16))
WHOLE = png(picture())

PICTURES = [
    accepted("PNG 8-bit", content(WHOLE)),
    accepted("PNG 16-bit", content(png(picture().astype(np.uint16) * 257))),
    PictureCase("PNG 16-bit, all of the bits in use", content(png(DEEP)), "accepted"),
    *(accepted(f"PNG {mode}, gray", in_mode(mode)) for mode in ("LA", "RGB", "RGBA")),
    refused("PNG RGB, colored", content(png(colored(picture()))), says=("color picture (RGB)", GRAY, EXPORT)),
    refused(
        "PNG RGBA, colored",
        content(png(np.dstack([colored(picture()), picture()]))),
        says=("color picture (RGBA)", GRAY, EXPORT),
    ),
    refused("PNG 16-bit RGB", content(png(np.dstack([DEEP] * 3))), says=("16-bit picture with colors", EXPORT)),
    refused("PNG 16-bit LA", content(png(np.dstack([DEEP] * 2))), says=("16-bit picture with colors", EXPORT)),
    accepted("PNG palette, gray", palette(1, 1, 1)),
    refused("PNG palette, colored", palette(1, 0.5, 1), says=("color picture (P)", GRAY, EXPORT)),
    refused("PNG black and white", in_mode("1"), says=("black-and-white", GRAY, EXPORT)),
    refused("truncated PNG", content(WHOLE[:-60]), says=("truncated or broken picture", EXPORT)),
    refused("PNG cut within its header", content(WHOLE[:20]), says=("neither PNG nor JPEG", EXPORT)),
    refused(
        "PNG with a wrong checksum",
        content(WHOLE.replace(b"IDAT", b"IDAT", 1)[:-14] + b"\0" + WHOLE[-13:]),
        says=("truncated or broken picture", EXPORT),
    ),
    refused("PNG with fewer rows than claimed", content(png(picture(), size=(36, 80))), says=("truncated", EXPORT)),
    refused(
        "PNG decompression bomb",
        content(png(picture(), size=(30_000, 30_000))),
        says=("claims too many pixels", "Crop or resample it."),
    ),
    refused(
        "PNG beyond the limit of pixels",
        content(png(picture(), size=(10_000, 10_000))),
        says=("10000 × 10000 pixels", "Crop or resample it."),
    ),
    refused("PNG of no width", content(png(picture(), size=(0, 40))), says=("PNG", EXPORT)),
    refused("empty PNG", content(b""), says=("empty", EXPORT)),
    refused("text, named .png", content(b"not a picture\n" * 9), says=("neither PNG nor JPEG", EXPORT)),
    refused("truncated JPEG", lambda path: truncated_jpeg(path), doubtful="T1w/sub-05.jpg", says=("truncated", EXPORT)),
    PictureCase(
        "JPEG",
        lambda path: Image.fromarray(picture()).save(path),
        "warned",
        says=("JPEG is lossy", "as PNG"),
        doubtful="T1w/sub-05.jpg",
    ),
    refused(
        "JPEG, colored",
        lambda path: Image.fromarray(colored(picture())).save(path),
        doubtful="T1w/sub-05.jpeg",
        says=("color picture (RGB)", GRAY, EXPORT),
    ),
    PictureCase(
        "PNG of one value", content(png(np.full_like(picture(), 9))), "dropped", says=("same value", "left out")
    ),
]


def truncated_jpeg(path: Path) -> None:
    """The first half of a JPEG file."""
    Image.fromarray(picture()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
