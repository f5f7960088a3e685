import errno
import fcntl
import os
from pathlib import Path

import pytest

from mri_cyclegan.filesystem import (
    atomic_file,
    atomic_folder,
    atomic_write_text,
    escapes,
    remove_abandoned,
    remove_abandoned_files,
)


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "target"
    with atomic_folder(target) as partial:
        (partial / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), atomic_folder(tmp_path / "target") as partial:
        (partial / "file").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_the_copy_of_a_faster_process_stays(tmp_path):
    target = tmp_path / "target"
    with atomic_folder(target) as partial:
        (partial / "file").write_text("slower")
        target.mkdir()
        (target / "file").write_text("faster")
    assert (target / "file").read_text() == "faster"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_an_error_of_the_disk_is_not_taken_for_a_faster_process(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(OSError, match="disk full"), atomic_folder(target):
        raise OSError("disk full")


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(tmp_path):
    (tmp_path / ".partial-left").mkdir()
    (tmp_path / ".partial-left" / "half").touch()
    (tmp_path / ".partial-1-note.json").touch()
    with atomic_folder(tmp_path / "entry") as partial:
        remove_abandoned(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [partial.name]
        (partial / "whole").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["entry", "whole"]


def test_nothing_abandoned_is_fine(tmp_path):
    remove_abandoned(tmp_path / "nowhere")


def test_a_text_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "note.json"
    atomic_write_text(path, "old é")
    atomic_write_text(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        atomic_write_text(path, "third")
    assert [found.name for found in tmp_path.iterdir()] == ["note.json"]
    assert path.read_text(encoding="utf-8") == "new é"


def test_a_file_is_forced_to_disk_before_it_appears(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append((tmp_path / "a").exists()), fsync(file)))
    with atomic_file(tmp_path / "a") as partial:
        partial.write_text("content")
    assert synced == [False, True]  # the file, and then the folder
    with atomic_file(tmp_path / "b", sync=False) as partial:
        partial.write_text("content")
    assert len(synced) == 2


def test_only_abandoned_files_of_these_names_are_removed(tmp_path):
    names = [".partial-1-a.nii", ".partial-2-a.nii", ".partial-1-b.nii", ".partial-x-a.nii", "a.nii", ".partial-a.nii"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".partial-3-a.nii").mkdir()
    with atomic_file(tmp_path / "a.nii") as partial:
        partial.touch()
        remove_abandoned_files([tmp_path / "a.nii", tmp_path / "nowhere" / "a.nii"])
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {*names[2:], ".partial-3-a.nii", partial.name}


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Some of clusters: files are written, and nothing is taken for abandoned."""

    def without_locks(file, kind):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with atomic_file(tmp_path / "a.nii") as partial:
        partial.write_text("whole")
        remove_abandoned_files([tmp_path / "a.nii"])
    with atomic_folder(tmp_path / "folder") as folder:
        remove_abandoned(tmp_path)
        (folder / "b").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii", "folder"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through(tmp_path):
    """Whoever made the folder may have guessed the process's number."""
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (tmp_path / f".partial-{os.getpid()}-report.html").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        atomic_write_text(tmp_path / "report.html", "hostile")
    assert victim.read_text() == "as it was"


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (tmp_path / "report.html").symlink_to(victim)
    atomic_write_text(tmp_path / "report.html", "new")
    assert victim.read_text() == "as it was"
    assert (tmp_path / "report.html").read_text() == "new"


def test_names_that_are_not_utf8_are_written_as_escapes(tmp_path):
    atomic_write_text(tmp_path / "file", os.fsdecode(b"sub-\xe9 \xc3\xa9"))
    assert (tmp_path / "file").read_bytes() == b"sub-\\udce9 \xc3\xa9"


def test_a_path_leads_out_by_a_link_or_by_dots(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "inner").mkdir(parents=True)
    elsewhere.mkdir()
    for name, target in (("out", elsewhere), ("up", ".."), ("in", "inner"), ("loop", "loop"), ("broken", "/none")):
        (folder / name).symlink_to(target)
    (tmp_path / "link").symlink_to(folder)
    for name in ("out", "out/deeper", "up/elsewhere", "..", "inner/../..", "/etc", "broken"):
        assert escapes(folder / name, folder), name
    for name in ("", "inner", "in/deeper", "none/deeper", "up/folder/inner", "loop"):
        assert not escapes(folder / name, folder), name
        assert not escapes(tmp_path / "link" / name, folder), name
