"""The same command and seed give the same numbers, in another process and another folder, and with loader processes."""

import csv
import json
import subprocess
import sys

import pytest
import torch

from mri_cyclegan.train import train

TIMES = ("training_s", "evaluation_s")


@pytest.fixture(scope="module")
def again(tmp_path_factory, toy_overrides):
    """Folder of the toy run's command in a process of its own, with data made anew and nothing prepared."""
    folder = tmp_path_factory.mktemp("again")
    words = [*toy_overrides, f"data.root={folder}/data", f"data.cache_root={folder}/cache", f"run_dir={folder}/run"]
    command = [sys.executable, "-m", "mri_cyclegan.train", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def with_workers(tmp_path_factory, compose_run, toy_overrides):
    """Folder of the toy run with two loader processes."""
    folder = tmp_path_factory.mktemp("with_workers")
    train(compose_run(folder, *toy_overrides, "data.num_workers=2"))
    return folder


def numbers(run_dir):
    """What a run has measured, without what its clock has."""
    summary = json.loads((run_dir / "summary.json").read_text())
    assert all(summary.pop(key) > 0 for key in TIMES)
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = [
            {key: value for key, value in row.items() if not key.startswith("time/")} for row in csv.DictReader(file)
        ]
    validation = json.loads((run_dir / "validation.json").read_text())
    return {"summary": summary, "metrics": rows, "validation": validation}


def weights(run_dir):
    """Of the saved generators as bytes, and of everything that trained."""
    generators = {path.name: path.read_bytes() for path in sorted((run_dir / "model").glob("*.safetensors"))}
    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    return generators, last["state_dict"]


@pytest.mark.parametrize("other", ["again", "with_workers"])
def test_every_number_and_every_weight_is_the_same(toy_run, other, request):
    run_dir, other_dir = toy_run[0], request.getfixturevalue(other)
    assert numbers(other_dir) == numbers(run_dir)
    (generators, state), (other_generators, other_state) = weights(run_dir), weights(other_dir)
    assert len(generators) == 2
    assert other_generators == generators
    assert other_state.keys() == state.keys()
    assert all(torch.equal(torch.as_tensor(other_state[key]), torch.as_tensor(state[key])) for key in state)


def test_the_environment_tells_what_both_had_in_common(toy_run, again):
    first, second = (json.loads((run_dir / "environment.json").read_text()) for run_dir in (toy_run[0], again))
    differing = {key for key in first if first[key] != second[key]}
    assert differing <= {"started", "command", "git"}  # somebody may commit meanwhile
    assert len(first["data_fingerprint"]) == 16
    assert first["seeds"] == {"seed": 0, "data.split_seed": 0, "data.seed": 0, "data.phantom.seed": 0}
    assert second["command"].startswith("python -m mri_cyclegan.train +experiment=demo trainer=cpu ")
    assert (first["device"], first["world_size"], first["earlier_starts"]) == ("cpu", 1, [])
