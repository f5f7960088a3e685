import pytest
import torch
from torch import nn

from mri_cyclegan.networks.patchgan import PatchGAN


def bounded():
    torch.manual_seed(0)
    return PatchGAN(1, base_channels=4, num_layers=2, spectral_norm=True, minibatch_stdev=False)


def largest_singular_values(network):
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [torch.linalg.svdvals(layer.weight.flatten(1))[0].item() for layer in convolutions]


def test_every_largest_singular_value_comes_to_one_and_stays_there_while_weights_change():
    network = bounded()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        network(torch.randn(2, 1, 16, 16)).square().mean().backward()
        optimizer.step()
    for _ in range(50):
        network(torch.zeros(1, 1, 16, 16))
    assert largest_singular_values(network.eval()) == pytest.approx([1.0] * 4, abs=1e-3)


def test_the_size_of_the_weights_themselves_does_not_count():
    network = bounded().eval()
    image = torch.randn(1, 1, 16, 16)
    logits = network(image)
    with torch.no_grad():
        for layer in network.layers:
            if isinstance(layer, nn.Conv2d):
                layer.parametrizations.weight.original.mul_(7)
    torch.testing.assert_close(network(image), logits)


def test_only_training_passes_refine_the_estimate():
    network = bounded()
    key = "layers.0.parametrizations.weight.0._u"
    network.state_dict()[key].copy_(nn.functional.normalize(torch.ones(4), dim=0))
    before = network.state_dict()[key].clone()
    network.eval()(torch.randn(1, 1, 16, 16))
    assert torch.equal(network.state_dict()[key], before)
    network.train()(torch.randn(1, 1, 16, 16))
    assert not torch.equal(network.state_dict()[key], before)


def test_a_saved_state_is_plain_data_and_gives_the_same_logits(tmp_path):
    network = bounded()
    network(torch.randn(1, 1, 16, 16))
    torch.save(network.state_dict(), tmp_path / "state.pt")
    torch.manual_seed(9)
    other = PatchGAN(1, base_channels=4, num_layers=2, spectral_norm=True, minibatch_stdev=False)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    image = torch.randn(1, 1, 16, 16)
    assert torch.equal(other(image), network(image))  # both refine it once more, from the same vectors
