import pytest
import torch
from torch import nn

from mri_cyclegan.training.ema import AveragedNetwork


def constant_linear(value):
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, value)
    nn.init.constant_(network.bias, value)
    return network


def test_the_average_follows_its_recursion():
    network = constant_linear(0.0)
    averaged = AveragedNetwork(network, decay=0.5, warmup=10)
    expected = 0.0
    for count, value in enumerate([1.0, 3.0, -2.0, 8.0] * 3):
        nn.init.constant_(network.weight, value)
        averaged.update(network)
        decay = min(0.5, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
        assert averaged.network.weight.item() == pytest.approx(expected, rel=1e-6)


def test_the_average_is_a_copy_that_is_never_trained():
    network = constant_linear(1.0)
    averaged = AveragedNetwork(network, decay=0.9, warmup=10)
    nn.init.constant_(network.weight, 5.0)
    assert averaged.network.weight.item() == 1.0
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    assert network.weight.requires_grad


def test_buffers_are_copied():
    network = nn.BatchNorm1d(1)
    averaged = AveragedNetwork(network, decay=0.9, warmup=10)
    network(torch.tensor([[1.0], [3.0]]))
    averaged.update(network)
    assert torch.equal(averaged.network.running_mean, network.running_mean)


def test_the_count_of_updates_survives_a_checkpoint():
    network = constant_linear(1.0)
    averaged = AveragedNetwork(network, decay=0.999, warmup=10)
    for _ in range(7):
        averaged.update(network)
    restored = AveragedNetwork(constant_linear(0.0), decay=0.999, warmup=10)
    restored.load_state_dict(averaged.state_dict())
    assert restored.num_updates == 7
    assert restored.network.weight.item() == averaged.network.weight.item()


def test_without_warmup_the_average_is_slow_from_the_start():
    network = constant_linear(0.0)
    averaged = AveragedNetwork(network, decay=0.9, warmup=1)
    nn.init.constant_(network.weight, 1.0)
    averaged.update(network)
    assert averaged.network.weight.item() == pytest.approx(0.1)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"optimization\.ema_decay.*null"):
        AveragedNetwork(constant_linear(0.0), decay, warmup=10)


def test_a_warmup_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"optimization\.ema_warmup.*0"):
        AveragedNetwork(constant_linear(0.0), 0.9, warmup=0)
