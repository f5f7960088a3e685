import json

import numpy as np
import pytest

from mri_cyclegan.evaluation.subjects.records import Record, RecordFolder, subject_record_key


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"voxels")
    return path


def record():
    return Record({"subject": "sub-01", "ways": {"ab": {"metrics": {}}}}, {"reduced_ab": np.arange(6).reshape(2, 3)})


def test_a_saved_record_is_found_again(tmp_path, source):
    RecordFolder(tmp_path / "r", {"models": "x"}).save("sub-01", [source], record())
    found = RecordFolder(tmp_path / "r", {"models": "x"}).find("sub-01", [source])
    assert found.values["subject"] == "sub-01"
    np.testing.assert_array_equal(found.arrays["reduced_ab"], record().arrays["reduced_ab"])


def test_other_settings_or_a_changed_file_need_a_new_record(tmp_path, source):
    RecordFolder(tmp_path / "r", {"models": "x"}).save("sub-01", [source], record())
    assert RecordFolder(tmp_path / "r", {"models": "y"}).find("sub-01", [source]) is None
    source.write_bytes(b"other voxels")
    assert RecordFolder(tmp_path / "r", {"models": "x"}).find("sub-01", [source]) is None


@pytest.mark.parametrize("name", ["sub-01.json", "sub-01.npz"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:20])])
def test_a_missing_or_damaged_file_is_no_record(tmp_path, source, name, damage):
    folder = RecordFolder(tmp_path / "r", {})
    folder.save("sub-01", [source], record())
    damage(tmp_path / "r" / name)
    assert folder.find("sub-01", [source]) is None


def test_what_is_no_json_leaves_no_record(tmp_path, source):
    folder = RecordFolder(tmp_path / "r", {})
    with pytest.raises(ValueError, match="JSON"):
        folder.save("sub-01", [source], Record({"psnr": float("inf")}, {}))
    assert folder.find("sub-01", [source]) is None


def test_half_written_files_of_killed_processes_are_removed(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".partial-1-sub-01.json").write_text(json.dumps({}))
    RecordFolder(tmp_path / "r", {})
    assert list((tmp_path / "r").iterdir()) == []


@pytest.mark.parametrize("content", ["[]", "3", '"word"', "[" * 10**5])
def test_what_is_no_record_is_none(tmp_path, source, content):
    folder = RecordFolder(tmp_path / "r", {})
    folder.save("sub-01", [source], record())
    (tmp_path / "r" / "sub-01.json").write_text(content)
    assert folder.find("sub-01", [source]) is None


@pytest.mark.parametrize("name", ["..", "../../x", "/abs", "a\nb\x00", "\U0001d400" * 100, "头" * 100, "\udce9", ""])
def test_a_record_of_any_name_lies_in_its_folder(tmp_path, source, name):
    folder = RecordFolder(tmp_path / "r", {})
    key = subject_record_key(name, b"place")
    folder.save(key, [source], record())
    assert folder.find(key, [source]) is not None
    assert len(list((tmp_path / "r").glob("*.*"))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "scan.nii.gz"]
