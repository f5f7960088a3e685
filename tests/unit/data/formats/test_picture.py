"""Pictures that make Pillow raise something unexpected."""

import struct
import zlib

import numpy as np
import pytest
from bad_inputs.picture_cases import chunk, png
from bad_inputs.png_mutations import joined
from bad_inputs.png_reference import read_chunks

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_volume

WHOLE = png(np.arange(143, dtype=np.uint8).reshape(11, 13))
HEADER, DATA, END = read_chunks(WHOLE)


def refusal(path):
    with pytest.raises(UnfitFile) as caught:
        read_volume(path)
    assert caught.value.finding.path == path
    return caught.value.finding.problem


@pytest.mark.parametrize(
    "chunks", [[HEADER, END], [DATA, HEADER, END], [(b"tEXt", b"a\0b"), HEADER, DATA, END], [END], []]
)
def test_chunks_missing_or_out_of_order_are_refused(tmp_path, chunks):
    (tmp_path / "a.png").write_bytes(joined(chunks))
    assert "PNG" in (problem := refusal(tmp_path / "a.png")) or "broken" in problem


@pytest.mark.parametrize(("offset", "value"), [(10, 1), (11, 1), (12, 2), (9, 5)])
def test_methods_that_do_not_exist_are_refused(tmp_path, offset, value):
    fields = bytearray(HEADER[1])
    fields[offset] = value
    (tmp_path / "a.png").write_bytes(joined([(b"IHDR", bytes(fields)), DATA, END]))
    assert "PNG" in (problem := refusal(tmp_path / "a.png")) or "broken" in problem


def test_a_text_that_inflates_without_end_is_refused(tmp_path):
    bomb = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000), 9))
    (tmp_path / "a.png").write_bytes(joined([HEADER, bomb, DATA, END]))
    assert "PNG" in (problem := refusal(tmp_path / "a.png")) or "broken" in problem


def test_what_the_system_says_is_passed_on(tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    assert refusal(tmp_path / "a.png") == "a link to a.png, which leads in a circle"


def test_bytes_after_the_last_chunk_do_not_matter(tmp_path):
    (tmp_path / "a.png").write_bytes(WHOLE + struct.pack(">I4s", 5, b"IDAT") + chunk(b"IDAT", b"junk"))
    assert read_volume(tmp_path / "a.png").array.shape == (1, 11, 13)
