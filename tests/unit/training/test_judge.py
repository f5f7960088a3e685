"""Step 8 where a discriminator looks at its whole batch."""

import pytest
import torch
from torch import nn

from mri_cyclegan.networks.minibatch_stdev import MinibatchStdev
from mri_cyclegan.training.cyclegan import CycleGAN


class VariationOnly(nn.Module):
    """A discriminator whose logits are how much its batch varies."""

    def forward(self, image):
        return MinibatchStdev()(image)[:, -1:]


def test_reals_and_fakes_do_not_share_a_batch():
    """Reals vary by 1, fakes do not: least squares tells them apart perfectly. Mixed, both would vary alike."""
    real = torch.stack([torch.ones(1, 4, 4), -torch.ones(1, 4, 4)])
    model = CycleGAN.__new__(CycleGAN)
    nn.Module.__init__(model)
    model.adversarial_loss = "lsgan"
    loss = CycleGAN.judge(model, VariationOnly(), real, torch.zeros_like(real))
    assert loss.item() == pytest.approx(0, abs=1e-3)
