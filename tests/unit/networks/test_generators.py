"""What every generator must do, whatever it is made of."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.inference.weights import load_networks
from mri_cyclegan.networks.registry import GENERATORS

OPTIONS = sorted(path.stem for path in (CONF_DIR / "generator").glob("*.yaml"))

# At toy size, with the smallest image that fits.
SMALL = {
    "unet": (["base_channels=4", "depth=2", "dropout=0"], 8),
    "unet_small": (["base_channels=4", "depth=2"], 8),
    "resnet": (["base_channels=4", "num_blocks=2"], 8),
    "transformer_unet": (["base_channels=4", "depth=2", "num_blocks=2", "embedding=8", "num_heads=2"], 8),
    "attention_unet": (["base_channels=4", "depth=2"], 8),
    "swin_unetr": (["features=12"], 64),
}

# In millions, for one channel.
MILLIONS = {
    "unet": 54.4,
    "unet_small": 0.1,
    "resnet": 11.4,
    "transformer_unet": 35.8,
    "attention_unet": 7.9,
    "swin_unetr": 6.3,
}


def generator(option, *overrides):
    register()
    words = [f"generator={option}", *(f"generator.{word}" for word in overrides)]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return instantiate(compose("train", overrides=words).generator)


def small(option, *overrides):
    words, size = SMALL[option]
    torch.manual_seed(0)
    return generator(option, *words, *overrides), size


def num_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_option_is_tried_and_can_be_saved():
    assert set(SMALL) == set(MILLIONS) == set(OPTIONS)
    assert {type(small(option)[0]).__name__ for option in OPTIONS} == set(GENERATORS)


@pytest.mark.parametrize("option", OPTIONS)
def test_numbers_of_parameters(option):
    with torch.device("meta"):
        assert round(num_parameters(generator(option)) / 1e6, 1) == MILLIONS[option]


def test_parameters_of_a_resnet_layer_by_layer():
    width, blocks = 64, 9
    ends = 49 * width + 49 * width + 1  # 7×7, the last one with a bias
    middle = 2 * (9 * width * 2 * width + 9 * 2 * width * 4 * width)  # down, and up again
    assert num_parameters(generator("resnet")) == ends + middle + blocks * 2 * 9 * (4 * width) ** 2


def test_parameters_of_a_transformer_unet_layer_by_layer():
    widths, features, blocks = [48, 96, 192, 384, 768], 384, 12
    total = 9 * 48 + 48 + 48 + 1  # first and last
    for width in widths[:-1]:
        total += 2 * (9 * width**2 + width)  # two convolutions on the way down
        total += 4 * width * 2 * width + 2 * width  # halving
        total += 9 * 2 * width * width + width  # doubling
        total += 9 * 2 * width * width + width + 9 * width**2 + width  # two convolutions on the way up
    total += 3 * features + 768 * features + features + features * 768 + 768 + 1  # place, in, out, share
    total += blocks * (4 * features**2 + 4 * features + 8 * features**2 + 5 * features + 4 * features)
    assert num_parameters(generator("transformer_unet")) == total


@pytest.mark.parametrize("option", OPTIONS)
def test_shape_and_range(option):
    network, size = small(option)
    for height, width in ((size, size), (size + network.size_multiple, size + 2 * network.size_multiple)):
        output = network(torch.randn(2, 1, height, width) * 9)
        assert output.shape == (2, 1, height, width)
        assert output.abs().max() <= 1


@pytest.mark.parametrize("option", OPTIONS)
def test_neighboring_slices_as_channels(option):
    network, size = small(option, "in_channels=3", "out_channels=3")
    assert network(torch.zeros(1, 3, size, size)).shape == (1, 3, size, size)


@pytest.mark.parametrize("option", OPTIONS)
def test_sides_that_do_not_fit_are_refused(option):
    network, size = small(option)
    with pytest.raises(ValueError, match=rf"multiples of {network.size_multiple}.*data\.image_size"):
        network(torch.zeros(1, 1, size, size + network.size_multiple // 2))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_learns(option, dtype):
    network, size = small(option)
    if option == "transformer_unet":
        network.bottleneck.share.data.fill_(0.5)  # at 0 nothing behind it does, by design
    with torch.autocast("cpu", dtype, enabled=dtype is torch.bfloat16):
        output = network(torch.randn(2, 1, 2 * size, 2 * size))
        (output.float() * torch.randn(output.shape)).sum().backward()
    for name, parameter in network.named_parameters():
        # A bias before a normalization is subtracted again, and a key's bias adds the same to every score.
        if not name.endswith("bias"):
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("option", OPTIONS)
def test_a_sample_does_not_depend_on_its_neighbors_in_the_batch(option):
    """So that passes of one network over several inputs may run as one batch."""
    network, size = small(option)
    images = torch.randn(3, 1, 2 * size, 2 * size)
    torch.testing.assert_close(
        network(images), torch.cat([network(image[None]) for image in images]), atol=1e-5, rtol=0
    )
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("option", OPTIONS)
def test_it_is_saved_and_loaded_as_it_was(option, tmp_path):
    from example_model.models import DESCRIPTION

    from mri_cyclegan.inference.model import save_model
    from mri_cyclegan.inference.read_description import read_description

    network, size = small(option)
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        words = [f"generator={option}", *(f"generator.{word}" for word in SMALL[option][0])]
        arguments = dict(compose("train", overrides=words).generator)
    name = arguments.pop("_target_").rpartition(".")[2]
    description = DESCRIPTION | {"preprocessing": DESCRIPTION["preprocessing"] | {"image_size": 2 * size}}
    architectures = {direction: {"name": name, "arguments": arguments} for direction in ("ab", "ba")}
    save_model(tmp_path, {"ab": network, "ba": network}, architectures, description)
    loaded = load_networks(tmp_path, read_description(tmp_path)).by_direction["ab"]
    image = torch.randn(1, 1, 2 * size, 2 * size)
    torch.testing.assert_close(loaded(image), network.eval()(image))


def test_attention_sees_the_whole_head():
    """One pixel changes outputs at the other end of the image, once the transformer takes part."""
    network, _ = small("transformer_unet", "depth=1")
    image = torch.zeros(1, 1, 40, 40)
    changed = image.clone()
    changed[0, 0, 0, 0] = 1
    network.bottleneck.share.data.fill_(1.0)
    norms = [module for module in network.modules() if isinstance(module, nn.InstanceNorm2d)]
    for norm in norms:  # they see the whole image, too
        norm.forward = lambda x: x
    assert (network(changed) - network(image))[0, 0, -4:, -4:].abs().max() > 0
    network.bottleneck.share.data.zero_()
    assert (network(changed) - network(image))[0, 0, -4:, -4:].abs().max() == 0


@pytest.mark.parametrize(
    ("option", "word", "message"),
    [
        ("unet", "depth=1", "generator.depth: expected at least 2, got 1"),
        ("unet", "upsample=bilinear", "generator.upsample: expected 'transposed' or 'resize', got 'bilinear'"),
        ("resnet", "num_blocks=0", "generator.num_blocks: expected at least 1"),
        ("resnet", "upsample=none", "generator.upsample: expected 'transposed' or 'resize'"),
        ("transformer_unet", "num_heads=7", "generator.num_heads=7 does not divide generator.embedding=384"),
        ("transformer_unet", "depth=0", "generator.depth: expected at least 1"),
        ("attention_unet", "depth=0", "generator.depth: expected at least 1"),
        ("swin_unetr", "features=20", "generator.features: expected a multiple of 12, at most 96, got 20"),
        ("swin_unetr", "features=960", "got 960"),
    ],
)
def test_what_cannot_be_built_is_told(option, word, message):
    with pytest.raises(Exception, match="(?s)" + message.replace(".", r"\.")):
        generator(option, word)
