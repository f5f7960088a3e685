"""A training that goes on is the training that was never interrupted, bit for bit."""

import csv
import shutil

import pytest
import torch

from mri_cyclegan.train import train
from mri_cyclegan.training.callbacks.checkpoints import LastCheckpoints

WORDS = ["trainer.max_epochs=3", "trainer.limit_train_batches=5", "model.pool_size=3", "model.cycle_noise=0.05"]
WORDS += ["evaluate=false", "extra_loss.structure.weight=1"]


WITHIN_AN_EPOCH = (2, 7, 11)


def state_of(run_dir):
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def logged(run_dir):
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        (row["step"], key): value for row in rows for key, value in row.items() if value and not key.startswith("time/")
    }


def assert_same(one, other, place=""):
    assert type(one) is type(other), place
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for number, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_same(first, second, f"{place}[{number}]")
    else:
        assert one == other, place


@pytest.fixture(scope="module", params=[0, 2], ids=["no workers", "two workers"])
def uninterrupted(request, tmp_path_factory, compose_run, toy_overrides):
    """A whole training with checkpoints along the way."""
    folder = tmp_path_factory.mktemp("whole")
    words = [*toy_overrides, *WORDS, f"data.num_workers={request.param}"]
    save_epoch = LastCheckpoints.on_train_epoch_end

    def save_batch(self, trainer, *_):
        number = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if number in WITHIN_AN_EPOCH:
            trainer.save_checkpoint(folder / f"{number}.ckpt")

    def keep_epoch(self, trainer, pl_module):
        save_epoch(self, trainer, pl_module)
        shutil.copy(folder / "checkpoints" / "last.ckpt", folder / f"{5 * (trainer.current_epoch + 1)}.ckpt")

    patch = pytest.MonkeyPatch()
    patch.setattr(LastCheckpoints, "on_train_batch_end", save_batch)
    patch.setattr(LastCheckpoints, "on_train_epoch_end", keep_epoch)
    train(compose_run(folder, *words))
    patch.undo()
    return folder, words


@pytest.mark.parametrize("checkpoint", [2, 5, 11, *(pytest.param(n, marks=pytest.mark.slow) for n in (7, 10))])
def test_from_any_batch(uninterrupted, tmp_path, compose_run, checkpoint):
    folder, words = uninterrupted
    torch.manual_seed(99)
    train(compose_run(tmp_path, *words, f"ckpt_path={folder}/{checkpoint}.ckpt"))
    expected, found = state_of(folder), state_of(tmp_path)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "rank_states"):
        assert_same(found[part], expected[part], part)
    whole, rest = logged(folder), logged(tmp_path)
    assert len(rest) > 20
    for key, value in rest.items():
        assert whole[key] == value, key
