"""A checkpoint of an earlier version has its parts under other names."""

import torch
from example_training.cyclegans import make_cyclegan
from torch import nn

from mri_cyclegan.training.callbacks.rank_states import rank_state
from mri_cyclegan.training.earlier_checkpoints import upgrade_rank_states
from mri_cyclegan.training.extra_losses import PairedLoss, PatchNCELoss


def test_weights_of_extra_losses_are_found():
    losses = {"paired": PairedLoss(1.0, None, nn.Linear(2, 2), nn.Linear(2, 2)), "nce": PatchNCELoss(num_patches=8)}
    model = make_cyclegan(extra_losses=losses)
    wanted = {name: torch.rand_like(value) for name, value in model.extra_losses.state_dict().items()}
    names = {"extra_losses.paired.": "further.", "extra_losses.nce.": "further.nce_"}
    state = model.state_dict()
    for name, value in wanted.items():
        present = f"extra_losses.{name}"
        prefix = next(prefix for prefix in names if present.startswith(prefix))
        state[names[prefix] + present.removeprefix(prefix)] = value
        del state[present]
    assert any(name.startswith("further.nce_ab.") for name in state)
    assert "further.registration_b.weight" in state
    model.load_state_dict(state)
    found = model.extra_losses.state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_the_state_of_each_rank_is_found():
    pools = [torch.full((1, 1, 2, 2), float(rank)) for rank in range(2)]
    checkpoint = {
        "callbacks": {"RandomStates": {"of_ranks": [{"torch": 0}, {"torch": 1}]}, "Other": {}},
        "of_ranks": [{"loss_means": {"num_batches": rank}, "pools": {"pool_a.images": pools[rank]}} for rank in (0, 1)],
    }
    upgrade_rank_states(checkpoint)
    assert checkpoint.keys() == {"callbacks", "rank_states"}
    assert checkpoint["callbacks"] == {"Other": {}}
    for rank in (0, 1):
        state = rank_state(checkpoint, rank)
        assert state["random"] == {"torch": rank}
        assert state["loss_means"] == {"num_batches": rank}
        assert torch.equal(state["pools"]["pool_a"], pools[rank])
    assert rank_state(checkpoint, 2) == {}
    upgrade_rank_states(checkpoint)
    assert len(checkpoint["rank_states"]) == 2
