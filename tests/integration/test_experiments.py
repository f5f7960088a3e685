"""Every experiment trains two steps at toy size, with the losses that it is about."""

import csv
import math

import pytest
import torch
from golden import EXPERIMENTS, SMALL, TOY, UNET

from mri_cyclegan.inference.model import load_model
from mri_cyclegan.train import train

TWO_STEPS = [*TOY, "trainer.max_epochs=1", "trainer.limit_train_batches=2", "evaluate=false"]
# Losses that move the generators, beside the adversarial ones.
STRUCTURE = {"structure_ab", "structure_ba"}
ABOUT = {
    "best": STRUCTURE,
    "cut": {"nce_ab", "nce_ba"},
    "demo": STRUCTURE,
    "fast": STRUCTURE,
    "reggan": {"paired_a", "paired_b", "smoothness_a", "smoothness_b"},
    "supervised": {"paired_a", "paired_b"},
}


@pytest.mark.parametrize("other", [name for name in EXPERIMENTS if name != "supervised"])
def test_supervised_after_any_other_experiment_is_pairs_and_nothing_else(tmp_path, compose_run, other):
    config = compose_run(tmp_path, f"+experiment=[{other},supervised]")
    weights = {key: value for key, value in config.model.items() if key.startswith("lambda_") and value}
    assert weights.keys() == {"lambda_gradient_penalty"}
    assert {name for name, loss in config.extra_loss.items() if loss.weight} == {"paired"}
    assert config.model.gradient_penalty is None
    assert config.extra_loss.paired.registration_a is config.extra_loss.paired.registration_b is None


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_two_steps(tmp_path, phantom_root, compose_run, experiment):
    words = [f"data.root={phantom_root}", f"data.cache_root={phantom_root}/cache"]
    config = compose_run(tmp_path, f"+experiment={experiment}", *TWO_STEPS, *SMALL.get(experiment, UNET), *words)
    train(config)
    with (tmp_path / "metrics.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    losses = {name.removeprefix("loss/") for name in rows[0] if name.startswith("loss/") and name.endswith("_step")}
    losses = {name.removesuffix("_step") for name in losses}
    for name in losses:
        values = [float(row[f"loss/{name}_step"]) for row in rows if row[f"loss/{name}_step"]]
        assert len(values) == 2
        assert all(math.isfinite(value) for value in values)
    extra = {name for name in losses if name.startswith(("nce", "paired", "smoothness", "structure"))}
    assert extra == ABOUT.get(experiment, set())
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    networks = load_model(tmp_path).networks
    outputs = networks["ab"](image), networks["ba"](image)
    assert not torch.equal(*outputs)
    assert all(output.isfinite().all() for output in outputs)
