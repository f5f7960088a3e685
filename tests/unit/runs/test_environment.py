import json
from datetime import datetime
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from mri_cyclegan.runs.environment import record_data, record_start

TRAINER = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")), world_size=2)
CONFIG = {
    "seed": 3,
    "name": "seed",
    "optimization": {"seeding": 5},
    "data": {"seed": "${seed}", "split_seed": 4, "phantom": None},
}


def start(folder, **changes):
    record_start(folder, OmegaConf.create({**CONFIG, **changes}), TRAINER)
    return read(folder)


def read(folder):
    return json.loads((folder / "environment.json").read_text())


def test_every_seed_is_there_and_the_data_when_it_is_known(tmp_path):
    content = start(tmp_path)
    assert content["seeds"] == {"seed": 3, "data.seed": 3, "data.split_seed": 4}
    assert content["world_size"] == 2
    assert content["device"] == "cpu"
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(content["started"])).total_seconds()) < 60
    assert content["data_fingerprint"] is None
    assert content["earlier_starts"] == []
    record_data(tmp_path, "0123456789abcdef")
    assert read(tmp_path) == content | {"data_fingerprint": "0123456789abcdef"}
    assert [path.name for path in tmp_path.iterdir()] == ["environment.json"]


def test_a_run_that_goes_on_keeps_what_it_was_started_with_before(tmp_path):
    start(tmp_path)
    record_data(tmp_path, "first")
    start(tmp_path, seed=5)  # and ends before it has seen the data
    last = start(tmp_path, seed=6)
    earlier = last["earlier_starts"]
    assert [one["seeds"]["seed"] for one in (*earlier, last)] == [3, 5, 6]
    assert [one["data_fingerprint"] for one in (*earlier, last)] == ["first", None, None]
    assert not any("earlier_starts" in one for one in earlier)
    record_data(tmp_path, "now")
    assert read(tmp_path)["earlier_starts"] == earlier


@pytest.mark.parametrize("damaged", ["", '{"seed": 0', "[]", "\xff"])
def test_a_damaged_file_does_not_keep_a_run_from_going_on(tmp_path, damaged):
    (tmp_path / "environment.json").write_bytes(damaged.encode("latin-1"))
    assert start(tmp_path)["earlier_starts"] == []


def test_a_file_of_an_earlier_version_is_kept(tmp_path):
    (tmp_path / "environment.json").write_text('{"seed": 0, "device": "cpu"}')
    assert start(tmp_path)["earlier_starts"] == [{"seed": 0, "device": "cpu"}]
