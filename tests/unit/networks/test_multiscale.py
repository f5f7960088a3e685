import pytest
import torch

from mri_cyclegan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    discriminator_adversarial_loss,
    generator_adversarial_loss,
)
from mri_cyclegan.networks.multiscale import MultiScaleDiscriminator


def tiny(num_layers=1, num_scales=3):
    torch.manual_seed(0)
    arguments = dict(spectral_norm=False, minibatch_stdev=False)
    return MultiScaleDiscriminator(1, base_channels=4, num_layers=num_layers, num_scales=num_scales, **arguments)


def test_each_scale_judges_the_image_halved_once_more():
    network = tiny()
    # The mean of three neighbors on a ramp is the middle one; at the left border there are only two.
    image = torch.arange(32.0).expand(1, 1, 32, 32)
    half = torch.cat([torch.tensor([0.5]), torch.arange(2.0, 32, 2)]).expand(1, 1, 16, 16)
    logits = network(image)
    assert torch.equal(logits[:, :1], network.scales[0](image))
    coarse = network.scales[1](half)
    assert coarse.shape[2:] == (6, 6)
    assert logits.shape == (1, 3, 14, 14)
    places = [position * 6 // 14 for position in range(14)]
    torch.testing.assert_close(logits[:, 1:2], coarse[:, :, places][:, :, :, places])


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_each_scale_weighs_the_same_in_every_loss(kind):
    """Scales of one logit value each: the loss is the mean of theirs, though they have 196, 36 and 4 patches."""
    network = tiny()
    values = [0.5, -2.0, 3.0]
    for scale, value in zip(network.scales, values):
        scale.layers[-1].weight.data.zero_()
        scale.layers[-1].bias.data.fill_(value)
    logits = network(torch.randn(1, 1, 32, 32))
    constants = [torch.tensor([value]) for value in values]
    expected = sum(generator_adversarial_loss(value, kind) for value in constants) / 3
    torch.testing.assert_close(generator_adversarial_loss(logits, kind), expected)
    expected = sum(discriminator_adversarial_loss(value, -value, kind) for value in constants) / 3
    torch.testing.assert_close(discriminator_adversarial_loss(logits, -logits, kind), expected)


def test_one_scale_is_a_patchgan():
    network, image = tiny(num_scales=1), torch.randn(2, 1, 16, 16)
    assert torch.equal(network(image), network.scales[0](image))


def test_scales_share_no_weights():
    network = tiny()
    first, second = network.scales[0].layers[0].weight, network.scales[1].layers[0].weight
    assert first is not second
    assert not torch.equal(first, second)


def test_what_does_not_fit_is_told():
    network = tiny(num_scales=2)
    assert network(torch.zeros(1, 1, network.smallest_side, network.smallest_side)).shape == (1, 2, 4, 4)
    with pytest.raises(ValueError, match=r"at least 6, got \(5, 5\).*discriminator\.num_scales"):
        network(torch.zeros(1, 1, 10, 10))
    with pytest.raises(ValueError, match=r"discriminator\.num_scales: expected at least 1, got 0"):
        tiny(num_scales=0)
