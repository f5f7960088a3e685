"""PNG files whose chunks are whole, but not the rows in them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.png_integrity import ADAM7
from mri_cyclegan.data.reading import read_volume

PICTURE = np.random.default_rng(0).integers(0, 256, (11, 13)).astype(np.uint8)


def png(idats, height=11, *, depth=8, interlaced=0):
    """A gray picture, 13 pixels wide, of these pieces of compressed data."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 13, height, depth, 0, 0, 0, interlaced)
    pieces = b"".join(chunk(b"IDAT", data) for data in idats)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pieces + chunk(b"IEND", b"")


def packed_rows(picture):
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture))


def read(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    return read_volume(tmp_path / "a.png").array[0]


@pytest.mark.parametrize("height", [10, 12, 1000])
def test_a_picture_of_more_or_fewer_rows_than_claimed_is_refused(tmp_path, height):
    with pytest.raises(UnfitFile, match=f"header claims {14 * height} bytes of rows, it holds (154|more)"):
        read(tmp_path, png([packed_rows(PICTURE)], height))


def test_a_wrong_checksum_of_the_rows_is_refused(tmp_path):
    rows = packed_rows(PICTURE)
    with pytest.raises(UnfitFile, match="truncated or broken picture"):
        read(tmp_path, png([rows[:-1] + bytes([rows[-1] ^ 1])]))


@pytest.mark.parametrize("length", [4, 20, 150])
def test_compressed_data_that_ends_early_is_refused(tmp_path, length):
    with pytest.raises(UnfitFile, match="truncated or broken picture"):
        read(tmp_path, png([packed_rows(PICTURE)[:length]]))


def test_rows_in_many_pieces_are_read(tmp_path):
    rows = packed_rows(PICTURE)
    np.testing.assert_array_equal(read(tmp_path, png([rows[:5], b"", rows[5:]])), PICTURE)


@pytest.mark.parametrize("height", [1, 2, 5, 8, 11])
def test_interlaced_pictures_are_read(tmp_path, height):
    picture = PICTURE[:height]
    passes = [picture[row::down, column::across] for column, row, across, down in ADAM7]
    rows = b"".join(b"\0" + row.tobytes() for pixels in passes if pixels.size for row in pixels)
    np.testing.assert_array_equal(read(tmp_path, png([zlib.compress(rows)], height, interlaced=1)), picture)
    with pytest.raises(UnfitFile, match="truncated or broken picture"):
        read(tmp_path, png([zlib.compress(rows[:-1])], height, interlaced=1))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_every_mode_that_pillow_writes_is_read(tmp_path, mode):
    image = Image.fromarray(PICTURE.astype(np.uint16) if mode == "I;16" else PICTURE)
    content = io.BytesIO()
    (image if mode == "I;16" else image.convert(mode)).save(content, "PNG")
    np.testing.assert_array_equal(read(tmp_path, content.getvalue()), PICTURE)


@pytest.mark.parametrize("depth", [2, 4])
def test_few_bits_a_pixel_are_read_by_what_they_stand_for(tmp_path, depth):
    values = np.arange(13) % 2**depth
    bits = "".join(f"{value:0{depth}b}" for value in values).ljust(-(-13 * depth // 8) * 8, "0")
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    expected = values * 255 // (2**depth - 1)
    np.testing.assert_array_equal(read(tmp_path, png([zlib.compress(row)], 1, depth=depth)), expected[None])
