import errno

import pytest
import torch

from mri_cyclegan.training.checkpoint_io import AtomicCheckpointIO


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO(tmp_path).save_checkpoint({"weights": torch.arange(3.0), "epoch": 4}, path)
    found = torch.load(path, weights_only=True)
    assert found["epoch"] == 4 and torch.equal(found["weights"], torch.arange(3.0))
    assert [one.name for one in path.parent.iterdir()] == ["last.ckpt"]


def half(checkpoint, file):
    """A disk that is full in the middle of a write: torch has an error of its own for it."""
    file.write(b"half of ")
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        raise RuntimeError("unexpected pos 768 vs 662")  # noqa: B904


def test_a_full_disk_leaves_the_one_of_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO(tmp_path).save_checkpoint({"epoch": 1}, path)
    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space left on device") as full:
        AtomicCheckpointIO(tmp_path).save_checkpoint({"epoch": 2}, path)
    assert full.value.filename == str(path) and full.value.errno == errno.ENOSPC
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(AttributeError, match="local object"):
        AtomicCheckpointIO(tmp_path).save_checkpoint({"model": lambda: 0}, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


def test_only_files_of_the_run_are_removed(tmp_path):
    run_dir, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for path in (run_dir / "best.ckpt", elsewhere / "thesis.tex"):
        path.parent.mkdir()
        path.write_text("")
    checkpoints = AtomicCheckpointIO(run_dir)
    for hostile in (elsewhere, elsewhere / "thesis.tex", f"local://{elsewhere}", run_dir / ".." / "elsewhere", run_dir):
        checkpoints.remove_checkpoint(hostile)
    assert (elsewhere / "thesis.tex").exists() and (run_dir / "best.ckpt").exists()
    checkpoints.remove_checkpoint(str(run_dir / "best.ckpt"))
    assert not (run_dir / "best.ckpt").exists()
