import pytest

from mri_cyclegan.data.atomic_folder import atomic_folder


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
