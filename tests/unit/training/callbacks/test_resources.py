import json
import resource
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mri_cyclegan.training.callbacks.resources as resources
from mri_cyclegan.host_memory import peak_memory_bytes
from mri_cyclegan.training.callbacks.resources import ResourceMonitor


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(resources, "perf_counter", lambda: now.s)
    return now


def train(monitor, clock, num_epochs=2, device="cpu", rank=0, fail=False):
    """Two batches a second, then three seconds of validation, each epoch of four batches."""
    trainer, model = SimpleNamespace(is_global_zero=rank == 0), SimpleNamespace(device=torch.device(device))
    monitor.on_train_start(trainer, model)
    for _ in range(num_epochs):
        monitor.on_train_epoch_start(trainer, model)
        for index in range(4):
            clock.s += 0.5
            monitor.on_train_batch_end(trainer, model, None, None, index)
        clock.s += 3
        monitor.on_train_epoch_end(trainer, model)
    monitor.on_exception(trainer, model, RuntimeError()) if fail else monitor.on_train_end(trainer, model)


@pytest.mark.parametrize("fail", [False, True])
def test_training_time_has_validation_in_it_and_batches_per_second_do_not(tmp_path, clock, fail):
    train(ResourceMonitor(tmp_path / "resources.json"), clock, fail=fail)
    content = json.loads((tmp_path / "resources.json").read_text())
    memory = content.pop("peak_memory_bytes")
    assert content == {
        "device": "cpu",
        "training_s": 10.0,
        "num_batches": 8,
        "batches_per_s": 2.0,
        "peak_gpu_memory_bytes": None,
    }
    assert 2**25 < memory <= 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_run_that_goes_on_adds_up_and_an_error_counts_the_open_epoch(tmp_path, clock):
    first = ResourceMonitor(tmp_path / "resources.json")
    train(first, clock)
    second = ResourceMonitor(tmp_path / "resources.json")
    second.load_state_dict(first.state_dict())
    clock.s += 100  # until it is started again
    trainer, model = SimpleNamespace(is_global_zero=True), SimpleNamespace(device=torch.device("cpu"))
    second.on_train_start(trainer, model)
    second.on_train_epoch_start(trainer, model)
    clock.s += 1
    second.on_train_batch_end(trainer, model, None, None, 0)
    second.on_exception(trainer, model, RuntimeError())
    content = json.loads((tmp_path / "resources.json").read_text())
    assert (content["training_s"], content["num_batches"]) == (11.0, 9)
    assert content["batches_per_s"] == 1.8


def test_on_a_gpu_the_peak_of_its_own_device_counts_from_the_start(tmp_path, clock, monkeypatch):
    reset = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1000 + device.index)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    train(ResourceMonitor(tmp_path / "resources.json"), clock, device="cuda:3")
    content = json.loads((tmp_path / "resources.json").read_text())
    assert (content["device"], content["peak_gpu_memory_bytes"]) == ("a GPU", 1003)
    assert reset == [torch.device("cuda:3")]


def test_what_earlier_jobs_of_the_process_took_is_forgotten(tmp_path, clock):
    array = np.ones(40_000_000)  # 320 MB
    before = peak_memory_bytes()
    del array
    train(ResourceMonitor(tmp_path / "resources.json"), clock)
    assert json.loads((tmp_path / "resources.json").read_text())["peak_memory_bytes"] < before - 250e6


def test_one_process_writes_and_a_failure_before_training_writes_nothing(tmp_path, clock):
    train(ResourceMonitor(tmp_path / "resources.json"), clock, rank=1)
    trainer, model = SimpleNamespace(is_global_zero=True), SimpleNamespace(device=torch.device("cpu"))
    ResourceMonitor(tmp_path / "resources.json").on_exception(trainer, model, RuntimeError())
    assert not (tmp_path / "resources.json").exists()
