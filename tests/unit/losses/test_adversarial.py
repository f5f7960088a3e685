import math

import pytest
import torch
from torch.nn import functional

from mri_cyclegan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    discriminator_adversarial_loss,
    generator_adversarial_loss,
)


@pytest.mark.parametrize(
    ("kind", "expected"), [("lsgan", (4 + 1) / 2), ("bce", None), ("hinge", -(3 + 0) / 2), ("wgan", -(3 + 0) / 2)]
)
def test_generator_loss_in_closed_form(kind, expected):
    logits = torch.tensor([3.0, 0.0])
    if kind == "bce":
        expected = (math.log(1 + math.exp(-3)) + math.log(2)) / 2
    assert generator_adversarial_loss(logits, kind).item() == pytest.approx(expected, rel=1e-6)


def test_discriminator_losses_in_closed_form():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert discriminator_adversarial_loss(real, fake, "lsgan").item() == pytest.approx(
        0.5 * ((1 + 0.25) / 2 + (9 + 1) / 2)
    )
    assert discriminator_adversarial_loss(real, fake, "hinge").item() == pytest.approx(
        0.5 * ((0 + 0.5) / 2 + (0 + 2) / 2)
    )
    bce = functional.binary_cross_entropy_with_logits
    textbook = 0.5 * (bce(real, torch.ones(2)) + bce(fake, torch.zeros(2)))
    assert discriminator_adversarial_loss(real, fake, "bce").item() == pytest.approx(textbook.item(), rel=1e-6)


def test_wasserstein_discriminator_has_no_end():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert discriminator_adversarial_loss(real, fake, "wgan").item() == 0.5 * (-1 - 1.25)
    assert discriminator_adversarial_loss(100 * real, 100 * fake, "wgan").item() == -112.5


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_generator_gradient_points_towards_real(kind):
    logits = torch.tensor([-2.0, 0.0], requires_grad=True)
    generator_adversarial_loss(logits, kind).backward()
    assert (logits.grad < 0).all()


def test_hinge_gives_the_generator_its_full_gradient():
    """A tanh or a clamp before the generator's hinge would starve it."""
    logits = torch.tensor([-6.0], requires_grad=True)
    generator_adversarial_loss(logits, "hinge").backward()
    assert logits.grad.item() == -1.0


def test_least_squares_on_raw_logits():
    """A leaky activation before the square would change negative logits."""
    assert generator_adversarial_loss(torch.tensor([-3.0]), "lsgan").item() == 16.0


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_extreme_logits_stay_finite(kind):
    logits = torch.tensor([-1e4, 1e4])
    assert generator_adversarial_loss(logits, kind).isfinite()
    assert discriminator_adversarial_loss(logits, -logits, kind).isfinite()


def test_unknown_kind_names_key_and_choices():
    for call in (
        lambda: generator_adversarial_loss(torch.zeros(1), "wasserstein"),
        lambda: discriminator_adversarial_loss(torch.zeros(1), torch.zeros(1), "wasserstein"),
    ):
        with pytest.raises(ValueError, match=r"model\.adversarial_loss.*lsgan, bce, hinge, wgan.*'wasserstein'"):
            call()
