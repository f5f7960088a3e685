"""What an earlier version wrote is still understood: ``tests/earlier_run``, the toy run below, before names changed.

That version called directions "way", had its modules elsewhere, and wrote every file here by its own code.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from mri_cyclegan import evaluate
from mri_cyclegan.evaluation.comparison import compare
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.train import train

EARLIER = Path(__file__).parents[1] / "earlier_run"
OVERRIDES = [
    "+experiment=demo",
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.limit_train_batches=3",
    "trainer.log_every_n_steps=1",
    "data.spacing_mm=8",
    "data.image_size=32",
    "data.batch_size=2",
    "data.num_workers=0",
    "data.phantom.spacing_mm=8",
    "data.phantom.num_train=4",
    "data.phantom.num_val=2",
    "data.phantom.num_test=2",
    "generator.base_channels=2",
    "generator.depth=2",
    "discriminator.base_channels=2",
    "discriminator.num_layers=1",
    "model.pool_size=2",
]


@pytest.fixture
def run_dir(tmp_path):
    """A copy that may be written to."""
    shutil.copytree(EARLIER, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def data(tmp_path):
    """Words that name where the phantom lies; it is made again, of the same seed."""
    return [f"data.root={tmp_path}/phantom", f"data.cache_root={tmp_path}/cache"]


def test_its_model_gives_what_it_gave():
    model = load_model(EARLIER)
    image = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
    figures = {"ab": (-0.0173116, 0.0765127, -0.1172529), "ba": (0.0127395, 0.0410960, -0.0349085)}
    for direction, expected in figures.items():
        with torch.no_grad():
            output = model.networks[direction](image)
        assert [output.mean(), output.std(), output[0, 0, 5, 7]] == pytest.approx(expected, abs=1e-6)
    audits = model.description.evaluation.audits
    assert {audit.direction for audit in audits} == {"ab", "ba", None}
    assert json.loads(model.description.as_json()) == json.loads((EARLIER / "model" / "model.json").read_text())


def test_it_trains_on(run_dir, data, compose_run):
    before = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    rows = list(csv.DictReader((run_dir / "metrics.csv").open(newline="")))
    words = [*OVERRIDES, *data, "resume=auto", "trainer.max_epochs=3", "evaluate=false"]
    train(compose_run(run_dir, *words))
    after = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert (before["epoch"], after["epoch"]) == (1, 2)
    assert before["state_dict"].keys() == after["state_dict"].keys()
    assert before["callbacks"].keys() - {"RandomStates"} == after["callbacks"].keys()
    earlier_pools = before["of_ranks"][0]["pools"]
    assert earlier_pools.keys() == {f"{name}.images" for name in after["rank_states"][0]["pools"]}
    found = list(csv.DictReader((run_dir / "metrics.csv").open(newline="")))
    assert found[: len(rows)] == rows
    assert len([row for row in found if row["loss/generators_step"]]) == 9


def test_it_is_evaluated_again_and_compared(run_dir, data, tmp_path, compose_run, run_app):
    """With the same figures, but for the last digits of another processor."""
    # To make the phantom.
    train(compose_run(tmp_path / "other", *OVERRIDES, *data, "trainer.max_epochs=1", "evaluate=false"))
    (root,) = (tmp_path / "phantom").glob("phantom-*")
    old = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
    shutil.copytree(run_dir, tmp_path / "again")
    new = evaluate_runs([tmp_path / "again"], tmp_path / "again" / "evaluation", Options(data_root=root)).content
    assert new["subjects"][0].keys() == old["subjects"][0].keys()
    for direction in ("ab", "ba"):
        for metric in METRICS:
            means = [content["summary"][direction]["CycleGAN"]["foreground"][metric]["mean"] for content in (old, new)]
            assert means[0] == pytest.approx(means[1], rel=1e-3)
    assert [audit["way"] for audit in old["audits"]] == [audit["way"] for audit in new["audits"]]
    differences = compare(old, new)
    assert all(abs(values["mean"]) < 0.01 for metrics in differences.values() for values in metrics.values())
    status, output = run_app(evaluate.app, "--compare", run_dir, tmp_path / "again", "--data-root", root)
    assert status == 0, output
    assert "difference" in output
