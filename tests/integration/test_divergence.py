"""Numbers that go wrong: reported with their slices, rolled back, and in the end a diagnosis."""

import csv

import numpy as np
import pytest
import torch

from mri_cyclegan.train import train
from mri_cyclegan.training.callbacks.divergence import Diverged, DivergenceGuard
from mri_cyclegan.training.cyclegan import CycleGAN

RATE = "learning_rate/generators"
QUICK = ["evaluate=false", "callbacks.divergence.max_consecutive_skips=2", "trainer.max_epochs=4"]


@pytest.fixture
def spoil_weights(monkeypatch):
    """Make one weight of a generator NaN at the start of some epochs."""

    def at_start_of(*epochs):
        original = CycleGAN.on_train_epoch_start

        def spoil(self):
            original(self)
            if self.current_epoch in epochs:
                next(self.generator_ba.parameters()).data.view(-1)[0] = float("nan")

        monkeypatch.setattr(CycleGAN, "on_train_epoch_start", spoil)

    return at_start_of


def column(run_dir, name):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def assert_finite(checkpoint):
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values() if isinstance(value, torch.Tensor))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_with_nan_is_told_with_its_slices_and_moves_nothing(
    tmp_path, compose_run, toy_overrides, spoil_a_slice, caplog, num_workers
):
    words = [*toy_overrides, "evaluate=false", f"data.cache_root={tmp_path}/cache", f"data.num_workers={num_workers}"]
    config = compose_run(tmp_path / "run", *words, "trainer.limit_train_batches=1.0", "trainer.max_epochs=1")
    volume, number = spoil_a_slice(config)
    train(config)
    told = [message for message in caplog.messages if "is not finite, epoch 1, batch" in message]
    assert told
    for message in told:
        assert f"{volume.scan.path.name} {number}" in message
        assert f"Their prepared slices hold numbers that are not finite: {volume.folder}." in message
        assert "of the generators and discriminators" in message and "These steps are skipped" in message
    assert_finite(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert np.isfinite(column(tmp_path / "run", "loss/generators_epoch")).all()


def test_after_a_row_of_them_it_goes_back_with_half_the_learning_rate(
    tmp_path, compose_run, toy_overrides, spoil_weights, caplog
):
    spoil_weights(2)
    config = compose_run(tmp_path, *toy_overrides, *QUICK)
    train(config)
    assert (
        f"2 consecutive steps were skipped: rolling back to {tmp_path}/checkpoints/last.ckpt, with 0.5 times"
        in caplog.text
    )
    assert np.isfinite(column(tmp_path, "loss/generators_epoch")).all()
    assert_finite(tmp_path / "checkpoints" / "last.ckpt")
    # Constant for two epochs, then to 2/3 and 1/3.
    shares = [rate / config.optimization.learning_rate_generators for rate in column(tmp_path, RATE)]
    assert shares == pytest.approx([1, 1, 2 / 3, 1 / 3 / 2])


def test_a_run_that_goes_on_stays_slow_unless_its_rates_change(
    tmp_path, compose_run, toy_overrides, spoil_weights, caplog
):
    caplog.set_level("INFO")
    spoil_weights(1)
    words = [
        *toy_overrides,
        "evaluate=false",
        "callbacks.divergence.max_consecutive_skips=2",
        "optimization.constant_share=1",
    ]
    config = compose_run(tmp_path / "run", *words, "trainer.max_epochs=2")
    train(config)
    configured = config.optimization.learning_rate_generators
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    train(compose_run(tmp_path / "other", *words, "trainer.max_epochs=3", f"ckpt_path={last}"))
    assert column(tmp_path / "other", RATE) == [configured]
    assert "times those configured" not in caplog.text
    train(compose_run(tmp_path / "run", *words, "trainer.max_epochs=3", "resume=auto"))
    assert column(tmp_path / "run", RATE)[-1] == configured / 2
    assert (
        "Learning rates are 0.5 times those configured: training was rolled back 1 times, of at most 2" in caplog.text
    )
    lower = f"optimization.learning_rate_generators={configured / 4}"
    train(compose_run(tmp_path / "run", *words, "trainer.max_epochs=4", "resume=auto", lower))
    assert column(tmp_path / "run", RATE)[-1] == configured / 4


def test_a_bad_batch_at_the_end_of_each_epoch_costs_no_checkpoint(tmp_path, compose_run, toy_overrides, monkeypatch):
    step = CycleGAN.training_step

    def last_is_bad(self, batch, batch_index):
        step(self, batch | {"a": batch["a"] * float("nan")} if batch_index == 2 else batch, batch_index)

    monkeypatch.setattr(CycleGAN, "training_step", last_is_bad)
    train(compose_run(tmp_path, *toy_overrides, "evaluate=false", "trainer.max_epochs=3"))
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
    assert_finite(tmp_path / "checkpoints" / "last.ckpt")


def test_no_checkpoint_is_written_within_such_a_row(tmp_path, compose_run, toy_overrides, spoil_weights, caplog):
    spoil_weights(2)
    words = ["evaluate=false", "trainer.max_epochs=4"]
    train(compose_run(tmp_path, *toy_overrides, *words))
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
    assert caplog.text.count("the last good one stays") == 2


def test_it_stops_with_a_diagnosis_when_going_back_does_not_help(tmp_path, compose_run, toy_overrides, spoil_weights):
    spoil_weights(1, 2, 3, 4, 5)
    words = [*toy_overrides, *QUICK, "trainer.max_epochs=6"]
    with pytest.raises(Diverged) as stopped:
        train(compose_run(tmp_path, *words))
    message = str(stopped.value)
    assert message.startswith("Training has diverged: in 2 consecutive steps a loss or gradient was not finite.")
    assert "Rolling back to a good checkpoint 2 times did not help, at last with 0.25 times the configured" in message
    assert "epoch 4, batch 2" in message and "_T1w.nii.gz" in message
    assert "Weights of not finite: generator_ba" in message
    assert f"{tmp_path}/checkpoints/last.ckpt is from before the divergence: resume=auto resumes from it" in message
    assert_finite(tmp_path / "checkpoints" / "last.ckpt")


def test_it_stops_at_once_where_there_is_nothing_to_go_back_to(tmp_path, compose_run, toy_overrides, spoil_weights):
    spoil_weights(0)
    with pytest.raises(Diverged, match=r"There is no checkpoint yet to roll back to\. .*learning_rate_generators"):
        train(compose_run(tmp_path, *toy_overrides, *QUICK))
    assert not list((tmp_path / "checkpoints").glob("*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"max_consecutive_skips": 0},
            r"callbacks\.divergence\.max_consecutive_skips: expected 1 or more, got 0",
        ),
        ({"max_rollbacks": -1}, r"callbacks\.divergence\.max_rollbacks: expected 0 or more, got -1"),
        ({"learning_rate_factor": 0.0}, r"callbacks\.divergence\.learning_rate_factor: .*\(0, 1\], got 0\.0"),
        ({"learning_rate_factor": 1.1}, r"callbacks\.divergence\.learning_rate_factor: .*\(0, 1\], got 1\.1"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    settings = {"max_consecutive_skips": 20, "max_rollbacks": 2, "learning_rate_factor": 0.5} | changes
    with pytest.raises(ValueError, match=message):
        DivergenceGuard("folder", **settings)
