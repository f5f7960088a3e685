"""The naive step is a fair opponent: it computes what ours computes."""

import pytest
import torch
from example_training.cyclegans import fit, make_batches, make_cyclegan

from mri_cyclegan.benchmarks.naive_step import NaiveStep, PlainPool, plain_structure_loss
from mri_cyclegan.losses.structure import structure_loss
from mri_cyclegan.training.extra_losses import PairedLoss, StructureLoss

CPU = torch.device("cpu")


def weights_of(model):
    networks = (model.generator_ab, model.generator_ba, model.discriminator_a, model.discriminator_b)
    return torch.cat([parameter.detach().flatten() for network in networks for parameter in network.parameters()])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lambda_identity": 0.0},
        {"lambda_cycle": 0.0},
        {"extra_losses": {"structure": StructureLoss(2.0)}, "lambda_adversarial": 0.5},
    ],
)
def test_both_train_to_the_same_weights(settings):
    ours, batches = make_cyclegan(**settings), make_batches(3)
    naive = NaiveStep(ours, CPU)
    before = weights_of(ours)
    for batch in batches:
        naive(batch["a"], batch["b"])
    fit(ours, batches)
    assert torch.allclose(weights_of(ours), weights_of(naive), rtol=0, atol=1e-9)
    assert (weights_of(ours) - before).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["mutual_information", "local_mutual_information", "mind"])
def test_structure_losses_put_together_from_a_library_agree_with_ours(kind):
    torch.manual_seed(0)
    source = torch.rand(1, 1, 64, 64) * 2 - 1
    fake = (-source + 0.3 * torch.randn_like(source)).clamp(-1, 1)
    found, expected = plain_structure_loss(kind)(fake, source), structure_loss(fake, source, kind)
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)
    assert 0.1 < found.item() < 0.95


def test_the_plain_pool_shows_old_fakes_half_of_the_time():
    pool = PlainPool(4)
    shown = torch.cat([pool(torch.full((1, 1, 1, 1), float(number))) for number in range(400)]).flatten()
    assert shown[:4].tolist() == [0, 1, 2, 3]
    assert 0.4 < (shown[4:] == torch.arange(4, 400)).float().mean() < 0.6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adversarial_loss": "hinge"}, "no model.adversarial_loss=hinge"),
        ({"gradient_penalty": "zero_centered"}, "no model.gradient_penalty=zero_centered"),
        ({"extra_losses": {"paired": PairedLoss(1.0)}}, "no extra_loss.paired. Set its weight to 0"),
    ],
)
def test_what_it_does_not_compute_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NaiveStep(make_cyclegan(**settings), CPU)
