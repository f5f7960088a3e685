"""Every discriminator trains."""

import csv

import pytest
import torch

from mri_cyclegan.configuration.schema import CONF_DIR
from mri_cyclegan.train import train

OPTIONS = sorted(path.stem for path in (CONF_DIR / "discriminator").glob("*.yaml"))
# All their layers need larger images than the toy run has.
TWO_STEPS = [
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "evaluate=false",
    "data.image_size=96",
    "data.spacing_mm=3",
    "data.num_adjacent_slices=1",
]


# Each option and each switch in the quick tests, all their pairs in the slow ones.
PAIRS = [
    pytest.param(option, switch, marks=[] if number % 2 == place else pytest.mark.slow)
    for number, option in enumerate(OPTIONS)
    for place, switch in enumerate(("spectral_norm", "minibatch_stdev"))
]


@pytest.mark.parametrize(("option", "switch"), PAIRS)
def test_two_steps_reach_every_weight_and_the_checkpoint_is_plain_data(
    tmp_path, compose_run, toy_overrides, option, switch
):
    words = [word for word in toy_overrides if word != "discriminator.num_layers=1"]
    words += [*TWO_STEPS, f"discriminator={option}", f"discriminator.{switch}=true"]
    train(compose_run(tmp_path, *words))
    with (tmp_path / "metrics.csv").open() as lines:
        losses = [float(row["loss/discriminator_a_step"]) for row in csv.DictReader(lines) if row["loss/cycle_a_step"]]
    assert len(losses) == 2
    assert all(0 < loss < 10 for loss in losses)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    adam = last["optimizer_states"][1]
    assert len(adam["state"]) == len(adam["param_groups"][0]["params"])
    for moments in adam["state"].values():
        assert moments["step"] == 2
        assert moments["exp_avg"].abs().max() > 0
    state = last["state_dict"]
    names = [key for key in state if key.startswith("discriminator_a.")]
    assert any(key.endswith("_u") for key in names) == (switch == "spectral_norm")
    first = next(key for key in names if state[key].ndim == 4)
    assert state[first].shape[1] == state["pool_a.images"].shape[1] == 3
