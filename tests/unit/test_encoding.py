"""Nothing depends on the encoding of a terminal or of a locale."""

import ast
import importlib
import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

import mri_cyclegan
from mri_cyclegan.__main__ import COMMANDS
from mri_cyclegan.text import make_output_encodable

ROOT = Path(mri_cyclegan.__file__).parent
OPENING = {"open", "read_text", "write_text", "fdopen"}
# Their open() is another one: of file descriptors, of pictures, of compressed bytes, of a logger.
BINARY = {"os", "Image", "gzip", "zipfile", "nibabel", "logger", "self"}


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "T1w > T2w x \\xe9 \\u6f22"), ("iso-8859-1", "T1w > T2w × é \\u6f22")]
)
def test_a_screen_replaces_what_it_cannot_encode(monkeypatch, encoding, shown):
    written = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, stream in written.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=encoding, write_through=True))
    with pytest.raises(UnicodeEncodeError):
        print("T1w → T2w × é 漢")
    make_output_encodable()
    print("T1w → T2w × é 漢")
    Console(stderr=True).print("T1w → T2w × é 漢")
    for stream in written.values():
        assert stream.getvalue().decode(encoding).strip() == shown


def test_a_screen_that_can_shows_all(capsys):
    make_output_encodable()
    print("T1w → T2w × é 漢")
    assert capsys.readouterr().out == "T1w → T2w × é 漢\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_lets_the_screen_replace(monkeypatch, name):
    command = importlib.import_module(f"mri_cyclegan.{name}")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    monkeypatch.setattr(command, "run" if hasattr(command, "run") else "app", lambda **_: print("T1w → T2w"))
    command.main()
    assert written.getvalue() == b"T1w > T2w\n"


def calls_without_encoding(path):
    """Lines that open a file as text in the encoding of whoever runs the program."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        words = {keyword.arg: keyword.value for keyword in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        owner = getattr(getattr(node.func, "value", None), "id", "")
        modes = [getattr(value, "value", "") for value in (*node.args, words.get("mode"))]
        is_binary = owner in BINARY or any(isinstance(mode, str) and mode.strip("rwxa+") == "b" for mode in modes)
        opens_text = (name in OPENING and not is_binary) or (owner == "subprocess" and "text" in words)
        if (opens_text or name == "FileHandler") and "encoding" not in words:
            yield node.lineno


def test_every_text_file_has_an_encoding_of_its_own():
    found = {f"{path.relative_to(ROOT)}:{line}" for path in ROOT.rglob("*.py") for line in calls_without_encoding(path)}
    assert not found
