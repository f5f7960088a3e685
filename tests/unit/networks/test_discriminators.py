"""What every discriminator must do, whatever it is made of."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from mri_cyclegan.configuration.schema import CONF_DIR, register

OPTIONS = sorted(path.stem for path in (CONF_DIR / "discriminator").glob("*.yaml"))
SWITCHES = ("spectral_norm", "minibatch_stdev")

# Shape of the logits of a 256×256 image, and pixels a side that one logit of the coarsest scale sees.
MAPS_AND_PATCHES = {
    "patchgan": ((1, 30, 30), 70),
    "patchgan_16": ((1, 126, 126), 16),
    "patchgan_small": ((1, 30, 30), 70),
    "image": ((1, 6, 6), 286),
    "pixel": ((1, 256, 256), 1),
    "multiscale": ((3, 30, 30), 283),
}


def discriminator(option, *overrides):
    register()
    words = [f"discriminator={option}", *(f"discriminator.{word}" for word in overrides)]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return instantiate(compose("train", overrides=words).discriminator)


def small(option, *overrides):
    torch.manual_seed(0)
    return discriminator(option, "base_channels=2", *overrides)


def num_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def num_weights(widths, kernel=16):
    """Of convolutions, and the biases of the first and the last."""
    return sum(kernel * i * o for i, o in zip(widths, widths[1:])) + widths[1] + 1


PARAMETERS = {
    "patchgan": num_weights([1, 64, 128, 256, 512, 1]),  # 2.76 million
    "patchgan_16": num_weights([1, 64, 128, 1]),
    "patchgan_small": num_weights([1, 32, 64, 128, 256, 1]),
    "image": num_weights([1, 64, 128, 256, 512, 512, 512, 1]),
    "pixel": num_weights([1, 64, 128, 1], kernel=1),
    "multiscale": 3 * num_weights([1, 64, 128, 256, 512, 1]),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_numbers_of_parameters_and_shapes(option):
    with torch.device("meta"):
        network = discriminator(option)
        assert num_parameters(network) == PARAMETERS[option]
        assert network(torch.zeros(2, 1, 256, 256)).shape == (2, *MAPS_AND_PATCHES[option][0])


def test_the_numbers_of_parameters_in_the_comments():
    millions = {option: round(count / 1e6, 2) for option, count in PARAMETERS.items()}
    assert millions == {
        "patchgan": 2.76,
        "patchgan_16": 0.13,
        "patchgan_small": 0.69,
        "image": 11.15,
        "pixel": 0.01,
        "multiscale": 8.29,
    }


@pytest.mark.parametrize("option", OPTIONS)
def test_a_logit_sees_its_patch_and_no_more(option):
    """Receptive field measured by gradient; instance normalization, which sees the whole map, is taken out."""
    network = small(option).double()
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.forward = lambda features: features
    patch = MAPS_AND_PATCHES[option][1]
    side = 64 * (patch // 64 + 3)  # nothing reaches the border
    image = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    logits[0, -1, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    for axis in (0, 1):
        seen = image.grad[0, 0].abs().sum(dim=axis).nonzero()
        assert seen.min() > 0
        assert seen.max() < side - 1
        assert seen.max() - seen.min() + 1 == patch


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("switch", ["", *SWITCHES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
        ),
    ],
)
def test_every_weight_learns(option, switch, dtype, device):
    network = small(option, *([f"{switch}=true"] if switch else [])).to(device)
    image = torch.randn(3, 1, 128, 128, device=device)
    with torch.autocast(device, torch.bfloat16, enabled=dtype is torch.bfloat16):
        logits = network(image)
    assert logits.dtype == dtype
    (logits.float() * torch.randn(logits.shape, device=device)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_both_switches_together_take_any_batch_and_neighboring_slices(option, batch_size):
    network = small(option, *(f"{switch}=true" for switch in SWITCHES), "in_channels=5")
    logits = network(torch.randn(batch_size, 5, 128, 128))
    assert logits.shape[0] == batch_size
    assert logits.isfinite().all()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("switch", ["", "spectral_norm=true"])
def test_a_sample_does_not_depend_on_its_neighbors_in_the_batch(option, switch):
    """So that one pass may judge reals and fakes together; only minibatch_stdev gives this up."""
    network = small(option, *([switch] if switch else [])).eval()
    images = torch.randn(3, 1, 128, 128)
    separate = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), separate, atol=1e-5, rtol=0)
