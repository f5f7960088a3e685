import errno
import fcntl

import pytest

from mri_cyclegan.runs.run_folder import create_unique_folder, holds_run, is_free, lock_run_folder


@pytest.mark.parametrize("name", ["checkpoints/last.ckpt", "metrics.csv", "model/model.json", "summary.json"])
def test_a_folder_is_taken_by_what_was_trained_in_it(tmp_path, name):
    for left in (".hydra/config.yaml", "config.yaml", "error.txt", "split.json", "train.log", "checkpoints/none"):
        (tmp_path / left).parent.mkdir(exist_ok=True)
        (tmp_path / left).touch()
    lock_run_folder(tmp_path, resume=False).close()
    assert is_free(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert holds_run(tmp_path)
    assert not is_free(tmp_path)
    with pytest.raises(ValueError, match=f"run_dir: {tmp_path} holds a run already. .*resume=auto"):
        lock_run_folder(tmp_path, resume=False)
    lock_run_folder(tmp_path, resume=True).close()


def test_a_folder_is_taken_while_a_training_is_at_work(tmp_path):
    with lock_run_folder(tmp_path, resume=False):
        assert not is_free(tmp_path)
        with pytest.raises(ValueError, match="another training is at work"):
            lock_run_folder(tmp_path, resume=True)
    assert is_free(tmp_path)


def test_without_locks_a_folder_stays_taken(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock_run_folder(tmp_path, resume=False).close()
    assert not is_free(tmp_path)
    with pytest.raises(ValueError, match="was started in .* and may be at work"):
        lock_run_folder(tmp_path, resume=False)
    lock_run_folder(tmp_path, resume=True).close()


def test_each_start_of_a_second_gets_a_folder_of_its_own(tmp_path):
    named = tmp_path / "demo" / "2026-01-02_03-04-05"
    names = [create_unique_folder(named, "key").name for _ in range(3)]
    assert names == [named.name, f"{named.name}_2", f"{named.name}_3"]
    assert sorted(path.name for path in named.parent.iterdir()) == names
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"hydra.run.dir: .*/file/run cannot be made \(File exists\)"):
        create_unique_folder(tmp_path / "file" / "run", "hydra.run.dir")
