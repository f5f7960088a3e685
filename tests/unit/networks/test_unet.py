import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.networks.unet import UNet


def tiny(**changes):
    arguments = dict(in_channels=1, out_channels=1, base_channels=4, depth=3, dropout=0.0, upsample="transposed")
    return UNet(**(arguments | {"full_resolution_skip": False, "residual": False} | changes))


def num_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_default_has_the_documents_54_4_million_parameters():
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        network = instantiate(compose("train").generator)
    # Convolution weights level by level (4×4 kernels), and the one bias, of the last layer.
    down = [1, 64, 128, 256, 512, 512, 512, 512, 512]
    weights = sum(16 * i * o for i, o in zip(down, down[1:]))
    weights += 16 * (512 * 512 + 3 * 1024 * 512 + 1024 * 256 + 512 * 128 + 256 * 64 + 128 * 1)
    assert num_parameters(network) == weights + 1
    assert round(num_parameters(network) / 1e6, 1) == 54.4


@pytest.mark.parametrize("full_resolution_skip", [False, True])
@pytest.mark.parametrize("upsample", ["transposed", "resize"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (40, 8)])
def test_output_has_the_inputs_shape_and_lies_within_range(upsample, height, width, full_resolution_skip):
    torch.manual_seed(0)
    output = tiny(upsample=upsample, full_resolution_skip=full_resolution_skip)(torch.randn(2, 1, height, width) * 50)
    assert output.shape == (2, 1, height, width)
    assert output.abs().max() <= 1


def test_sides_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"multiples of 8.*\(8, 12\).*data\.image_size"):
        tiny()(torch.zeros(1, 1, 8, 12))


def test_normalization_is_absent_at_first_and_innermost():
    network = tiny(depth=4)
    norms = [any(isinstance(m, nn.InstanceNorm2d) for m in down.modules()) for down in network.downs]
    assert norms == [False, True, True, False]
    assert network.train()(torch.randn(1, 1, 16, 16)).isfinite().all()  # 1×1 innermost map


def test_dropout_only_in_the_first_three_ups():
    network = tiny(depth=6, dropout=0.5)
    has_dropout = [any(isinstance(m, nn.Dropout) for m in up.modules()) for up in network.ups]
    assert has_dropout == [True, True, True, False, False]
    image = torch.randn(1, 1, 64, 64)
    network.eval()
    assert torch.equal(network(image), network(image))
    network.train()
    assert not torch.equal(network(image), network(image))


def test_skip_connections_reach_the_output():
    torch.manual_seed(0)
    network = tiny(depth=3)
    image = torch.randn(1, 1, 8, 8, requires_grad=True)
    with torch.no_grad():
        for parameter in network.ups[0].parameters():
            parameter.zero_()  # cut the way through the innermost level
    network(image).sum().backward()
    assert image.grad.abs().sum() > 0


def test_the_full_resolution_skip_carries_single_pixels():
    """Without it every pixel passes through a stride of two; with it a pixel reaches its own place directly."""
    torch.manual_seed(0)
    network = tiny(depth=2, full_resolution_skip=True)
    for parameter in network.ups[-1].parameters():
        parameter.requires_grad_(False).zero_()  # cut everything below full resolution
    network.entry[1] = nn.Identity()  # normalization sees the whole map
    image = torch.randn(1, 1, 8, 8, requires_grad=True)
    network(image)[0, 0, 4, 4].backward()
    reach = image.grad[0, 0].nonzero()
    assert reach.min(dim=0).values.tolist() == [2, 2]
    assert reach.max(dim=0).values.tolist() == [6, 6]


def test_samples_do_not_see_their_batch_neighbors():
    torch.manual_seed(0)
    network = tiny().double()
    images = torch.randn(3, 1, 16, 16, dtype=torch.float64)
    separate = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(network(images), separate, atol=1e-12)


def test_weights_start_with_standard_deviation_0_02():
    torch.manual_seed(0)
    network = tiny(base_channels=32)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 10_000:
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(module.weight.mean().item()) < 0.001
    assert network.last[1].bias.abs().sum() == 0


def test_the_two_generators_of_a_model_are_independent():
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", overrides=["+experiment=demo"])
    model = instantiate(config.model)
    first, second = next(model.generator_ab.parameters()), next(model.generator_ba.parameters())
    assert first is not second
    assert not torch.equal(first, second)


def test_bad_arguments_name_their_key():
    with pytest.raises(ValueError, match=r"generator\.upsample.*'bicubic'"):
        tiny(upsample="bicubic")
    with pytest.raises(ValueError, match=r"generator\.depth.*at least 2"):
        tiny(depth=1)


def test_a_residual_generator_starts_near_the_image_and_stays_within_range():
    torch.manual_seed(0)
    network = tiny(residual=True)
    image = torch.rand(2, 1, 16, 24) * 2 - 1
    for parameter in network.last.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(network(image), image)
    network.last[1].bias.data.fill_(0.3)  # tanh(0.3) of the range, everywhere
    expected = (image + 2 * torch.tanh(torch.tensor(0.3))).clamp(-1, 1)
    torch.testing.assert_close(network(image), expected)
    with pytest.raises(ValueError, match="as many channels in as out, got 3 and 1"):
        tiny(residual=True, in_channels=3)
