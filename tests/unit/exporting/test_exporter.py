import hashlib
import json
from dataclasses import replace
from importlib.metadata import version

import pytest

from mri_cyclegan.exporting import exporter
from mri_cyclegan.exporting.exporter import FORMATS, export
from mri_cyclegan.exporting.parity import OutputDifference


@pytest.fixture
def source(model_of):
    return model_of().folder


@pytest.fixture
def writes(monkeypatch):
    """Makes every format write one file, quickly, that differs so much from the model."""

    def differ_by(ab, ba=0.0, text="program", rounding=0.0):
        def write(model, folder):
            (folder / "docs").mkdir()
            (folder / "docs" / "file").write_text(text)
            return {"ab": OutputDifference(ab, rounding), "ba": OutputDifference(ba, rounding)}

        for name, kind in FORMATS.items():
            monkeypatch.setitem(exporter.FORMATS, name, replace(kind, write=write))

    differ_by(0.0)
    return differ_by


@pytest.mark.parametrize("name", FORMATS)
def test_a_record_is_kept(source, writes, name):
    writes(ab=1e-5 if FORMATS[name].tolerance else 0.0)
    folder, record = export(source, name)
    assert folder == source / "export" / name
    assert json.loads((folder / "export.json").read_text()) == record
    assert record["format"] == name
    assert record["max_abs_difference"] == {"ab": 1e-5 if record["tolerance"] else 0.0, "ba": 0.0}
    assert record["versions"]["torch"] == version("torch")
    assert set(record["versions"]) >= set(FORMATS[name].packages)
    assert record["files_sha256"]["docs/file"] == hashlib.sha256(b"program").hexdigest()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(record["files_sha256"]) == files - {"export.json"}
    assert FORMATS[name].card in files
    assert str(source) not in json.dumps(record)


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("onnx", (1.1e-4, 0.0)),
        ("onnx", (0.0, 1.1e-4)),
        ("torch_export", (float("nan"), 0.0)),
        ("monai_bundle", (0.0, 1e-12)),
    ],
)
def test_what_differs_from_the_model_is_not_kept(source, writes, name, differences):
    writes(*differences)
    with pytest.raises(ValueError, match=rf"--format {name}: direction a?b?a? differs from the model by"):
        export(source, name)
    assert list((source / "export").iterdir()) == []


def test_what_rounding_makes_of_the_model_itself_is_no_fault_of_the_program(source, writes):
    """A network may enlarge rounding to more than the tolerance; then a program may differ by as much."""
    writes(2.9e-3, rounding=1e-3)
    assert export(source, "onnx")[1]["own_rounding"] == {"ab": 1e-3, "ba": 1e-3}
    writes(3.1e-3, rounding=1e-3)
    with pytest.raises(ValueError, match=r"differs from the model by 0\.0031, at most 0\.003 expected"):
        export(source, "onnx", overwrite=True)


def test_an_earlier_export_is_replaced_only_when_asked(source, writes, tmp_path):
    output = tmp_path / "out" / "mine"
    export(source, "onnx", output)
    writes(0.0, text="newer")
    with pytest.raises(ValueError, match=r"mine: holds an export already.*--overwrite"):
        export(source, "onnx", output)
    assert (output / "docs" / "file").read_text() == "program"
    export(source, "onnx", output, overwrite=True)
    assert (output / "docs" / "file").read_text() == "newer"
    assert [path.name for path in output.parent.iterdir()] == ["mine"]


def test_an_earlier_export_stays_when_the_next_fails(source, writes, tmp_path):
    export(source, "onnx", tmp_path / "out" / "mine")
    writes(1.0)
    with pytest.raises(ValueError, match="differs"):
        export(source, "onnx", tmp_path / "out" / "mine", overwrite=True)
    assert (tmp_path / "out" / "mine" / "docs" / "file").read_text() == "program"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_export_is_never_replaced(source, writes, tmp_path, kind):
    output = tmp_path / "scans"
    if kind == "folder":
        output.mkdir()
        (output / "scan.nii").write_text("precious")
    else:
        output.write_text("precious")
    with pytest.raises(ValueError, match=r"scans: exists and is no export"):
        export(source, "onnx", output, overwrite=True)
    assert (output / "scan.nii" if kind == "folder" else output).read_text() == "precious"


def test_an_empty_folder_is_filled(source, writes, tmp_path):
    (tmp_path / "out").mkdir()
    export(source, "onnx", tmp_path / "out")
    assert (tmp_path / "out" / "docs" / "file").read_text() == "program"


def test_missing_packages_are_named(source, monkeypatch):
    kind = replace(FORMATS["onnx"], packages=("onnx", "no-such-runtime", "no-such-script"))
    monkeypatch.setitem(exporter.FORMATS, "onnx", kind)
    with pytest.raises(
        ValueError, match=r"needs no-such-runtime, no-such-script: pip install 'mri-cyclegan\[export\]'"
    ):
        export(source, "onnx")
    assert not (source / "export").exists()


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"no readable model\.json"):
        export(tmp_path, "torch_export", tmp_path / "out")
    assert not (tmp_path / "out").exists()
