import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from mri_cyclegan.configuration.devices import num_devices, require_one_device


@pytest.mark.parametrize(
    ("devices", "accelerator", "expected"),
    [
        (1, "auto", 1),
        (2, "cpu", 2),
        ("1", "gpu", 1),
        ("2", "gpu", 2),
        ([3], "gpu", 1),
        ([0, 3], "gpu", 2),
        (OmegaConf.create([0, 3]), "gpu", 2),
        ("0,", "gpu", 1),
        ("0, 1", "gpu", 2),
        (-1, "gpu", 4),
        ("-1", "gpu", 4),
        ("auto", "auto", 4),
        (None, "auto", 4),
        ("auto", "cpu", 1),
    ],
)
def test_every_way_to_name_devices_is_counted(devices, accelerator, expected):
    assert num_devices(devices, accelerator, num_visible=4) == expected


def run_config(**trainer):
    return OmegaConf.create({"trainer": {"accelerator": "auto", "devices": 1} | trainer})


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"devices": 2}, r"trainer\.devices=2: with -m expected one device"),
        ({"devices": "auto"}, r"trainer\.devices=auto"),
        ({"devices": [0, 1]}, r"trainer\.devices=\[0, 1\]"),
        ({"num_nodes": 2}, r"trainer\.num_nodes=2"),
    ],
)
def test_several_devices_are_refused_with_the_way_out(trainer, message):
    with pytest.raises(ValueError, match=message + r".*hydra/launcher=gpus.*torchrun"):
        require_one_device(run_config(**trainer), num_visible=2)


def test_one_device_is_fine_however_it_is_named(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    for devices in (1, [3], "2,", "auto", -1):
        require_one_device(run_config(devices=devices), num_visible=1)


def test_processes_of_torchrun_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"2 processes \(WORLD_SIZE\)"):
        require_one_device(run_config(), num_visible=1)


WORKER = """
import os, sys
from pathlib import Path
from mri_cyclegan.sweeps.gpu_slots import take_gpu
print(take_gpu(Path(sys.argv[1]), 2), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
print(take_gpu(Path(sys.argv[1]), 1), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.readline()
"""


def start(folder):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "4,7"}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return process, [process.stdout.readline().split() for _ in range(2)]


def test_a_process_keeps_its_gpu_and_a_killed_one_frees_it(tmp_path):
    """Three processes on two of a host's GPUs, 4 and 7; the second is killed and another comes."""
    processes = []
    try:
        for expected in (["0", "4"], ["1", "7"], ["0", "4"]):
            process, (first, second) = start(tmp_path)
            processes.append(process)
            assert first == expected
            assert second == ["None", expected[1]], "its next job stays where it is"
        processes[1].kill()
        processes[1].wait()
        process, (first, _) = start(tmp_path)
        processes.append(process)
        assert first == ["1", "7"]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_without_a_gpu_there_is_nothing_to_take(tmp_path):
    from mri_cyclegan.sweeps.gpu_slots import take_gpu

    assert take_gpu(tmp_path, 0) is None
    assert list(tmp_path.iterdir()) == []
