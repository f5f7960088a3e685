import logging
from types import SimpleNamespace

import pytest
import torch

import mri_cyclegan.training.callbacks.timing as timing
from mri_cyclegan.training.callbacks.timing import StepTimer


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run_epoch(
    monkeypatch, timer, waiting_s, step_s, num_batches, device="cuda", num_slices=100, world_size=1, num_before=0
):
    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", clock)
    logged = []
    model = SimpleNamespace(device=torch.device(device), log_dict=lambda values, **_: logged.append(values))
    datamodule = SimpleNamespace(train_slices=range(num_slices), batch_size=1)
    trainer = SimpleNamespace(datamodule=datamodule, world_size=world_size, log_every_n_steps=2)
    trainer.fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace())
    timer.on_train_epoch_start(trainer, model)
    for index in range(num_batches):
        trainer.fit_loop.epoch_loop.total_batch_idx = num_before + index
        trainer.is_last_batch = index == num_batches - 1
        clock.now += 100 if index == 0 else waiting_s  # worker processes start before the first batch
        timer.on_train_batch_start(trainer, model, None, index)
        clock.now += step_s
        timer.on_train_batch_end(trainer, model, None, None, index)
    timer.on_train_epoch_end(trainer, model)
    return logged


def test_time_per_step_and_waiting_share(monkeypatch):
    logged = run_epoch(monkeypatch, StepTimer(warn_above=0.3), waiting_s=0.25, step_s=0.75, num_batches=5)
    assert len(logged) == 3, "every other batch, and the last one"
    logged = run_epoch(monkeypatch, StepTimer(0.3), 0.25, 0.75, num_batches=4, num_before=5)
    assert len(logged) == 2, "with the second and the fourth: counted from the start of training, as loggers count"
    assert logged[-1] == {"time/step_s": pytest.approx(1.0), "time/waiting_share": pytest.approx(0.25)}


def test_a_starving_device_is_told_once(monkeypatch, caplog):
    timer = StepTimer(warn_above=0.3)
    with caplog.at_level(logging.WARNING):
        run_epoch(monkeypatch, timer, waiting_s=0.2, step_s=0.8, num_batches=30)
        assert caplog.text == ""
        for _ in range(2):
            run_epoch(monkeypatch, timer, waiting_s=0.6, step_s=0.4, num_batches=30)
    assert caplog.text.count("starves the device: 60 %") == 1
    assert "data.num_workers" in caplog.text


def test_a_cpu_is_told_the_measured_time_of_a_long_epoch(monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        run_epoch(monkeypatch, StepTimer(0.3), 0.0, 1.0, 3, device="cpu", num_slices=100)
        assert caplog.text == ""
        run_epoch(monkeypatch, StepTimer(0.3), 0.0, 1.5, 3, device="cuda", num_slices=4800)
        assert caplog.text == ""
        run_epoch(monkeypatch, StepTimer(0.3), 0.0, 1.5, 3, device="cpu", num_slices=4800, world_size=24)
        assert caplog.text == "", "24 processes share it"
        run_epoch(monkeypatch, StepTimer(0.3), 0.0, 1.5, 3, device="cpu", num_slices=4800)
    assert "a step takes 1.5 s (measured), a full epoch about 2.0 hours" in caplog.text
    assert "+experiment=demo" in caplog.text
