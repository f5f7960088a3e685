"""Step 8: reals and fakes in one pass where that gives the same numbers, else apart."""

import pytest
import torch
from torch import nn

from mri_cyclegan.losses.adversarial import discriminator_adversarial_loss
from mri_cyclegan.networks.minibatch_stdev import MinibatchStdev
from mri_cyclegan.networks.multiscale import MultiScaleDiscriminator
from mri_cyclegan.networks.patchgan import PatchGAN
from mri_cyclegan.networks.pixelgan import PixelGAN
from mri_cyclegan.training.cyclegan import CycleGAN


class VariationOnly(nn.Module):
    """A discriminator whose logits are how much its batch varies."""

    def forward(self, image):
        return MinibatchStdev()(image)[:, -1:]


def loss_of(discriminator, real, fake):
    model = CycleGAN.__new__(CycleGAN)
    nn.Module.__init__(model)
    model.adversarial_loss = "lsgan"
    return CycleGAN.discriminator_loss(model, discriminator, real, fake)


def test_reals_and_fakes_do_not_share_a_batch():
    """Reals vary by 1, fakes do not: least squares tells them apart perfectly. Mixed, both would vary alike."""
    real = torch.stack([torch.ones(1, 4, 4), -torch.ones(1, 4, 4)])
    assert loss_of(VariationOnly(), real, torch.zeros_like(real)).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("spectral_norm", "minibatch_stdev"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("make", [lambda *s: PatchGAN(1, 4, 1, *s), lambda *s: MultiScaleDiscriminator(1, 4, 1, 2, *s)])
def test_one_pass_gives_the_loss_and_gradients_of_two(make, spectral_norm, minibatch_stdev):
    torch.manual_seed(0)
    discriminator = make(spectral_norm, minibatch_stdev).double()
    real, fake = torch.randn(2, 3, 1, 32, 32, dtype=torch.float64)
    passes = []
    discriminator.register_forward_hook(lambda *call: passes.append(len(call[1][0])))
    state = {name: value.clone() for name, value in discriminator.state_dict().items()}
    loss = loss_of(discriminator, real, fake)
    gradients = torch.autograd.grad(loss, list(discriminator.parameters()))
    assert passes == ([3, 3] if spectral_norm or minibatch_stdev else [6])
    discriminator.load_state_dict(state)  # spectral normalization moves with each pass
    expected = discriminator_adversarial_loss(discriminator(real), discriminator(fake), "lsgan")
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    for found, wanted in zip(gradients, torch.autograd.grad(expected, list(discriminator.parameters()))):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda *s: PatchGAN(1, 4, 1, *s),
        lambda *s: MultiScaleDiscriminator(1, 4, 1, 2, *s),
        lambda *s: PixelGAN(1, 32, *s),
    ],
)
def test_only_a_discriminator_whose_logits_depend_on_one_image_says_so(make):
    torch.manual_seed(0)
    images = torch.randn(4, 1, 32, 32)
    for settings in ((False, False), (True, False), (False, True)):
        discriminator = make(*settings)
        alone, among_others = discriminator(images[:1]), discriminator(images)[:1]
        assert discriminator.batch_independent == torch.allclose(alone, among_others, atol=1e-5)
