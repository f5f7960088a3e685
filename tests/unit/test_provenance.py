import json
import sys

import pytest
import torch

from mri_cyclegan import provenance as module
from mri_cyclegan.provenance import PACKAGE, command_line, provenance


@pytest.fixture(autouse=True)
def forgets():
    """Each test asks Git anew, and leaves no answer behind."""
    module._code.cache_clear()
    yield
    module._code.cache_clear()


def test_it_tells_code_versions_and_machine_and_no_folder(monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(PACKAGE / "train.py"), "+experiment=demo", "seed=3"])
    monkeypatch.setattr(module, "git_revision", lambda package: {"revision": f"that of {package.name}", "dirty": True})
    found = provenance(torch.device("cpu"))
    assert found["git"] == {"revision": "that of mri_cyclegan", "dirty": True}
    assert found["command"] == "python -m mri_cyclegan.train +experiment=demo seed=3"
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert (found["device"], found["gpu"]) == ("cpu", None)
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert str(PACKAGE.parent) not in json.dumps(found)


def test_without_networks_it_tells_of_no_device():
    assert not {"device", "gpu", "determinism"} & provenance().keys()


def test_the_commit_is_that_of_the_start(monkeypatch):
    """Code that changes on disk while a training is at work is not what made its figures."""
    answers = iter([{"revision": "at the start", "dirty": False}, {"revision": "days later", "dirty": False}])
    monkeypatch.setattr(module, "git_revision", lambda package: next(answers))
    assert provenance()["git"] == provenance()["git"] == {"revision": "at the start", "dirty": False}


@pytest.fixture
def deterministic(monkeypatch):
    """As ``trainer.deterministic=true`` sets it, and back."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    before = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True)
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.use_deterministic_algorithms(before[1])


def test_what_makes_results_repeat_is_told(deterministic):
    assert provenance(torch.device("cpu"))["determinism"] == {
        "deterministic_algorithms": True,
        "cudnn_deterministic": True,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": "medium",
    }


def test_a_gpu_is_told_with_what_drives_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92400)
    monkeypatch.setattr(module, "GPU_DRIVER", module.GPU_DRIVER.with_name("not there"))
    found = provenance(torch.device("cuda:1"))
    assert found["device"] == "GPU 1"
    assert found["gpu"] == {"cuda": "13.0", "cudnn": 92400, "driver": None}


def test_the_driver_is_read(tmp_path, monkeypatch):
    (tmp_path / "version").write_text("580.65.06\n")
    monkeypatch.setattr(module, "GPU_DRIVER", tmp_path / "version")
    assert module._gpu_versions()["driver"] == "580.65.06"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([str(PACKAGE / "evaluate.py"), "runs/a b"], "python -m mri_cyclegan.evaluate 'runs/a b'"),
        (["mri-cyclegan train", "seed=1,2", "-m"], "mri-cyclegan train seed=1,2 -m"),
        (["/home/someone/.venv/bin/launch", "x"], "launch x"),
        (["scripts/my launch.py"], "'scripts/my launch.py'"),
        (["-c"], "-c"),
    ],
)
def test_the_command_is_as_typed_but_not_where_it_is_installed(words, expected):
    assert command_line(words) == expected
