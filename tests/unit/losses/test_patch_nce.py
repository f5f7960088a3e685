import copy
import math

import pytest
import torch
from torch.nn import functional

from mri_cyclegan.losses.patch_nce import PatchNCE

CHANNELS, SIDES = (1, 3, 5), (6, 4, 2)


def features(batch=2, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, count, side, side, generator=generator, dtype=dtype)
        for count, side in zip(CHANNELS, SIDES, strict=True)
    ]


@pytest.fixture
def loss():
    torch.manual_seed(0)
    return PatchNCE(CHANNELS, num_patches=7, width=8, temperature=0.2).double()


def seeded(loss, *arguments, seed=5):
    torch.manual_seed(seed)
    return loss(*arguments)


@torch.no_grad()
def vector(projection, image, position):
    first, _, second = projection
    row, column = divmod(position, image.shape[-1])
    projected = second.weight @ (first.weight @ image[:, row, column] + first.bias).clamp_min(0) + second.bias
    return projected / projected.square().sum().sqrt()


def by_loops(loss, output, source, temperature, num_patches, seed):
    """The definition, one patch against one patch at a time."""
    torch.manual_seed(seed)
    layers = []
    for projection, out, src in zip(loss.projections, output, source, strict=True):
        positions = torch.randperm(out.shape[-1] ** 2)[:num_patches].tolist()
        costs = []
        for image_out, image_src in zip(out, src, strict=True):
            for own in positions:
                query = vector(projection, image_out, own)
                keys = {other: vector(projection, image_src, other) for other in positions}
                powers = {other: math.exp(float(query @ key) / temperature) for other, key in keys.items()}
                costs.append(-math.log(powers[own] / sum(powers.values())))
        layers.append(sum(costs) / len(costs))
    return sum(layers) / len(layers)


def test_it_is_the_definition(loss):
    output, source = features(seed=1), features(seed=2)
    expected = by_loops(loss, output, source, temperature=0.2, num_patches=7, seed=5)
    assert seeded(loss, output, source).item() == pytest.approx(expected, rel=1e-10)


def test_of_alike_patches_it_is_the_logarithm_of_their_number(loss):
    """Layers of 36, 16 and 4 positions, of which 7, 7 and 4 are compared."""
    flat = [torch.ones_like(layer) for layer in features()]
    assert seeded(loss, flat, flat).item() == pytest.approx((2 * math.log(7) + math.log(4)) / 3)


def test_it_falls_to_zero_where_every_patch_is_like_its_source_alone():
    """Two positions with opposite directions after projection: log(1 + exp(-2 / temperature))."""
    loss = PatchNCE([2], num_patches=2, width=2, temperature=0.5).double()
    for layer in (loss.projections[0][0], loss.projections[0][2]):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    loss.projections[0][2].weight.data = torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
    image = torch.tensor([[3.0, 0.0], [0.0, 7.0]], dtype=torch.float64).reshape(1, 2, 1, 2)
    assert loss([image], [image]).item() == pytest.approx(math.log(1 + math.exp(-2 / 0.5)))
    assert loss([image], [image.flip(-1)]).item() == pytest.approx(math.log(1 + math.exp(2 / 0.5)))


def test_gradients_reach_the_output_and_the_projections_but_not_the_source(loss):
    output = [layer.requires_grad_() for layer in features(seed=1)]
    source = [layer.requires_grad_() for layer in features(seed=2)]
    seeded(loss, output, source).backward()
    assert all(layer.grad is None for layer in source)
    assert all(layer.grad.abs().max() > 0 for layer in output)
    assert all(parameter.grad.abs().max() > 0 for parameter in loss.parameters())


def test_projections_learn_from_the_output_side_alone(loss):
    """Gradients are those of a loss whose keys come from a frozen copy."""
    output, source = features(seed=1), features(seed=2)
    seeded(loss, output, source).backward()
    frozen, learning = copy.deepcopy(loss).requires_grad_(False), copy.deepcopy(loss)
    learning.zero_grad()
    torch.manual_seed(5)
    costs = []
    for index, (out, src) in enumerate(zip(output, source, strict=True)):
        positions = torch.randperm(out.shape[-1] ** 2)[:7]
        query = functional.normalize(learning.projections[index](out.flatten(2)[:, :, positions].mT), dim=-1)
        key = functional.normalize(frozen.projections[index](src.flatten(2)[:, :, positions].mT), dim=-1)
        logits = torch.einsum("bnw,bmw->bnm", query, key) / 0.2
        costs.append(-logits.log_softmax(-1).diagonal(dim1=1, dim2=2).mean() / len(CHANNELS))
    sum(costs).backward()
    for mine, expected in zip(loss.parameters(), learning.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad)


def test_an_image_is_compared_with_itself_alone(loss):
    output, source = features(3, seed=1), features(3, seed=2)
    order = torch.tensor([2, 0, 1])
    together = seeded(loss, output, source)
    permuted = seeded(loss, [layer[order] for layer in output], [layer[order] for layer in source])
    alone = [
        seeded(loss, [layer[i : i + 1] for layer in output], [layer[i : i + 1] for layer in source]) for i in range(3)
    ]
    torch.testing.assert_close(permuted, together)
    torch.testing.assert_close(torch.stack(alone).mean(), together)
    assert len({round(value.item(), 6) for value in alone}) == 3


def test_positions_follow_from_the_global_seed_and_differ_between_calls(loss):
    output, source = features(seed=1), features(seed=2)
    torch.manual_seed(5)
    first, second = loss(output, source), loss(output, source)
    assert first != second
    assert seeded(loss, output, source) == first


def test_with_more_patches_than_positions_all_are_compared():
    torch.manual_seed(0)
    loss = PatchNCE(CHANNELS, num_patches=1000, width=8).double()
    output, source = features(seed=1), features(seed=2)
    torch.testing.assert_close(seeded(loss, output, source, seed=1), seeded(loss, output, source, seed=2))


def test_half_precision_is_computed_in_single():
    torch.manual_seed(0)
    loss = PatchNCE(CHANNELS, num_patches=1000, width=8)
    output, source = (features(seed=seed, dtype=torch.bfloat16) for seed in (1, 2))
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(output, source)
    assert value.dtype == torch.float32
    exact = copy.deepcopy(loss).double()([layer.double() for layer in output], [layer.double() for layer in source])
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


def test_gray_values_of_one_sign_are_told_apart():
    """Without random biases their features would all have one direction."""
    torch.manual_seed(0)
    loss = PatchNCE([1], num_patches=64)
    image = torch.linspace(0.1, 1, 64).reshape(1, 1, 8, 8)
    assert loss([image], [image]) < math.log(64) - 0.01


def test_layers_must_be_those_it_was_made_for(loss):
    with pytest.raises(ValueError, match="zip"):
        loss(features()[:2], features()[:2])


def test_a_single_patch_is_refused():
    with pytest.raises(ValueError, match=r"extra_loss\.nce\.num_patches: expected at least 2, got 1"):
        PatchNCE(CHANNELS, num_patches=1)
