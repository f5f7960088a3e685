import pytest
import torch
from torch import nn

from mri_cyclegan.networks.blocks import init_normal
from mri_cyclegan.networks.patchgan import PatchGAN


def tiny(**changes):
    arguments = dict(in_channels=1, base_channels=4, num_layers=1, spectral_norm=False, minibatch_stdev=False)
    return PatchGAN(**(arguments | changes))


def test_the_default_is_the_papers_network_draw_for_draw():
    """C64-C128-C256-C512 and one channel, written out: same keys, weights and logits from the same seed."""
    torch.manual_seed(3)
    paper = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.InstanceNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 256, 4, 2, 1, bias=False),
        nn.InstanceNorm2d(256),
        nn.LeakyReLU(0.2),
        nn.Conv2d(256, 512, 4, 1, 1, bias=False),
        nn.InstanceNorm2d(512),
        nn.LeakyReLU(0.2),
        nn.Conv2d(512, 1, 4, 1, 1),
    )
    init_normal(paper)
    torch.manual_seed(3)
    network = tiny(base_channels=64, num_layers=3)
    expected = {f"layers.{key}": value for key, value in paper.state_dict().items()}
    state = network.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    image = torch.rand(1, 1, 64, 64) * 2 - 1
    assert torch.equal(network(image), paper(image))


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4, 5])
def test_an_image_too_small_for_one_patch_is_refused(num_layers):
    network = tiny(base_channels=1, num_layers=num_layers)
    smallest = 3 * 2**num_layers
    assert network(torch.zeros(1, 1, smallest, smallest + 1)).shape[2] == 1
    with pytest.raises(ValueError, match=rf"at least {smallest}, got \({smallest}, {smallest - 1}\).*num_layers"):
        network(torch.zeros(1, 1, smallest, smallest - 1))


def test_it_has_at_least_one_layer():
    with pytest.raises(ValueError, match=r"discriminator\.num_layers: expected at least 1, got 0"):
        tiny(num_layers=0)


def test_spectral_normalization_takes_the_place_of_instance_normalization():
    plain, bounded = (tiny(num_layers=3, spectral_norm=flag) for flag in (False, True))
    kinds = [[isinstance(module, nn.InstanceNorm2d) for module in network.modules()] for network in (plain, bounded)]
    assert (sum(kinds[0]), sum(kinds[1])) == (3, 0)
    # No normalization takes their biases away again.
    assert all(module.bias is not None for module in bounded.modules() if isinstance(module, nn.Conv2d))
