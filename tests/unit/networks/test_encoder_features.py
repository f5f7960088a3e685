"""What generators give to a contrastive loss."""

import pytest
import torch
from torch import nn

from mri_cyclegan.networks.resnet import ResNet
from mri_cyclegan.networks.transformer_unet import TransformerUNet
from mri_cyclegan.networks.unet import UNet


def unet(**changes):
    arguments = dict(in_channels=1, out_channels=1, base_channels=4, depth=6, dropout=0.0, upsample="transposed")
    torch.manual_seed(0)
    return UNet(**(arguments | {"full_resolution_skip": False, "residual": False} | changes)).double()


def resnet(num_blocks=6, in_channels=1):
    torch.manual_seed(0)
    return ResNet(in_channels, in_channels, base_channels=4, num_blocks=num_blocks, upsample="transposed").double()


def transformer_unet(in_channels=1):
    torch.manual_seed(0)
    network = TransformerUNet(in_channels, in_channels, 4, depth=3, num_blocks=1, embedding=8, num_heads=2).double()
    network.bottleneck.share.data.fill_(0.5)
    return network


def images(side=64, channels=1):
    return torch.randn(2, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


NETWORKS = {
    "unet": unet(),
    "unet of three channels": unet(in_channels=3, out_channels=3),
    "shallow unet": unet(depth=2, full_resolution_skip=True),
    "resnet": resnet(),
    "resnet of two blocks": resnet(num_blocks=2),
    "resnet of one block": resnet(num_blocks=1),
    "transformer unet": transformer_unet(),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_are_those_announced_and_resolution_falls(name):
    network = NETWORKS[name]
    image = images(channels=network.feature_channels[0])
    features = network.features(image)
    assert [layer.shape[1] for layer in features] == network.feature_channels
    sides = [layer.shape[-1] for layer in features]
    assert sides == sorted(sides, reverse=True)
    assert min(sides) >= 2
    assert features[0] is image


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unet", [(1, 64), (4, 32), (8, 16), (16, 8), (32, 4)]),
        ("shallow unet", [(1, 64), (4, 32), (8, 16)]),
        ("resnet", [(1, 64), (8, 32), (16, 16), (16, 16), (16, 16)]),
        ("resnet of one block", [(1, 64), (8, 32), (16, 16), (16, 16)]),
        ("transformer unet", [(1, 64), (4, 64), (8, 32), (16, 16)]),
    ],
)
def test_layers_of_each_network(name, expected):
    assert [tuple(layer.shape[1:3]) for layer in NETWORKS[name].features(images())] == expected


def test_features_of_a_unet_are_outputs_of_its_levels():
    network, x = NETWORKS["unet"], images()
    for down, feature in zip(network.downs, network.features(x)[1:], strict=False):
        x = down(x)
        torch.testing.assert_close(feature, x, atol=0, rtol=0)


def test_features_of_a_resnet_are_those_of_cut():
    """Both halving convolutions before their normalization, the first and the fifth residual block."""
    network, x, expected = NETWORKS["resnet"], images(), []
    halvings = [m for m in network.layers if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    blocks = [m for m in network.layers if type(m).__name__ == "ResidualBlock"]
    for layer in network.layers:
        x = layer(x)
        if any(layer is chosen for chosen in (*halvings, blocks[0], blocks[4])):
            expected.append(x)
    found = NETWORKS["resnet"].features(images())[1:]
    assert len(found) == len(expected) == 4
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_of_fewer_than_five_blocks_the_last_is_taken():
    network = NETWORKS["resnet of two blocks"]
    x = images()
    for layer in network.layers[:12]:
        x = layer(x)
    assert torch.equal(network.features(images())[-1], x)


def test_features_of_a_transformer_unet_are_its_skip_connections():
    network = NETWORKS["transformer unet"]
    entered = []
    hooks = [
        decoder.register_forward_pre_hook(lambda _, arguments: entered.append(arguments[0]))
        for decoder in network.decoders
    ]
    network(images())
    for hook in hooks:
        hook.remove()
    for feature, joined in zip(network.features(images())[1:], reversed(entered), strict=True):
        torch.testing.assert_close(joined[:, joined.shape[1] // 2 :], feature, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["unet", "shallow unet", "resnet", "transformer unet"])
def test_nothing_behind_the_last_feature_is_computed(name):
    network = NETWORKS[name]
    features = network.features(images())
    behind = torch.autograd.grad(features[-1].sum(), list(network.parameters()), allow_unused=True)
    unused = {name for (name, _), gradient in zip(network.named_parameters(), behind, strict=True) if gradient is None}
    computed = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: computed.add(name))
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    network.features(images())
    for hook in hooks:
        hook.remove()
    decoder = ("ups", "decoders", "last", "bottleneck", "entry" if "unet" in name and "trans" not in name else "ups")
    assert computed
    assert not any(name.startswith(decoder) for name in computed)
    # All that is computed leads to the last feature, but for one halving of the transformer's U-Net.
    wasted = {name for name in unused if name.rpartition(".")[0] in computed}
    assert wasted <= {"downs.2.weight", "downs.2.bias"}


@pytest.mark.parametrize("full_resolution_skip", [False, True])
def test_the_output_of_a_unet_is_that_of_its_parts(full_resolution_skip):
    """Down, keep each level, and up again beside them."""
    network, image = unet(depth=4, full_resolution_skip=full_resolution_skip), images()
    kept, x = [network.entry(image)] if full_resolution_skip else [], image
    for down in network.downs:
        x = down(x)
        kept.append(x)
    for up, beside in zip(network.ups, kept[-2::-1], strict=True):
        x = torch.cat([up(x), beside], dim=1)
    assert torch.equal(network(image), network.last(x))


def test_the_output_of_a_transformer_unet_is_that_of_its_parts():
    network, image = transformer_unet(), images()
    kept, x = [], network.entry(image)
    for encoder, down in zip(network.encoders, network.downs, strict=True):
        kept.append(encoder(x))
        x = down(kept[-1])
    x = network.bottleneck(x)
    for up, decoder, beside in zip(network.ups, network.decoders, kept[::-1], strict=True):
        x = decoder(torch.cat([up(x), beside], dim=1))
    assert torch.equal(network(image), network.last(x))


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("unet", "downs.0.0.weight", "last.1.bias", 13),
        ("resnet", "layers.1.weight", "layers.23.bias", 19),
        ("transformer unet", "entry.0.weight", "last.0.bias", 59),
    ],
)
def test_saved_weights_keep_their_names(name, first, last, count):
    names = list(NETWORKS[name].state_dict())
    assert (names[0], names[-1], len(names)) == (first, last, count)


@pytest.mark.parametrize(("name", "side"), [("unet", 96), ("shallow unet", 4), ("resnet", 4), ("transformer unet", 12)])
def test_sides_that_do_not_fit_or_leave_one_position_are_refused(name, side):
    with pytest.raises(ValueError, match=r"^features of .*multiples of .*data\.image_size"):
        NETWORKS[name].features(images(side))
