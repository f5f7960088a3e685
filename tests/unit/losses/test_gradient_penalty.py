import math

import pytest
import torch
from torch import nn

from mri_cyclegan.losses.gradient_penalty import GRADIENT_PENALTIES, gradient_penalty


class HalfSquare(nn.Module):
    """Patch logits a · x² / 2, one a pixel: the slope at x is a · x."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.seen = []

    def forward(self, image):
        self.seen.append(image.detach())
        return self.a * image.square() / 2


def images(seed=0, shape=(3, 1, 4, 6)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(2)]


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 1, 2)).double()


def test_the_slope_of_a_linear_discriminator_is_that_of_its_summed_or_averaged_patches():
    patches = nn.Conv2d(1, 1, 2, stride=2, bias=False).double()  # 2 · 3 patches, each pixel in one of them
    real, fake = images()
    squared_length = 6 * patches.weight.square().sum().item()
    assert gradient_penalty(patches, real, fake, "zero_centered").item() == pytest.approx(squared_length)
    expected = (math.sqrt(squared_length) / 6 - 1) ** 2
    assert gradient_penalty(patches, real, fake, "interpolated").item() == pytest.approx(expected)


def test_zero_centered_is_the_mean_over_the_reals_of_the_squared_slope():
    real, fake = images()
    expected = (1.5**2 * real.square().sum(dim=(1, 2, 3))).mean().item()
    assert gradient_penalty(HalfSquare(1.5), real, fake * math.nan, "zero_centered").item() == pytest.approx(expected)


def test_interpolated_is_one_random_mix_a_sample():
    torch.manual_seed(1)
    real, fake = images()
    discriminator = HalfSquare(1.5)
    penalty = gradient_penalty(discriminator, real, fake, "interpolated")
    (mixed,) = discriminator.seen
    shares = ((mixed - fake) / (real - fake)).flatten(1)
    assert shares.std(dim=1).max() < 1e-9
    share = shares.mean(dim=1)
    assert ((share > 0) & (share < 1)).all() and share.std() > 0.05
    lengths = 1.5 * mixed.square().sum(dim=(1, 2, 3)).sqrt() / 24
    assert penalty.item() == pytest.approx((lengths - 1).square().mean().item())


@pytest.mark.parametrize("kind", GRADIENT_PENALTIES)
def test_the_weights_gradient_is_that_of_finite_differences(kind):
    discriminator, (real, fake) = small_network(), images(2)

    def penalty():
        torch.manual_seed(3)  # the same mixes each time
        return gradient_penalty(discriminator, real, fake, kind)

    penalty().backward()
    assert discriminator[0].weight.grad.abs().max() > 1e-3
    for weight in (discriminator[0].weight, discriminator[0].bias, discriminator[2].weight):
        flat, gradient = weight.data.view(-1), weight.grad.view(-1)
        for index in (0, len(flat) - 1):
            values = []
            for step in (1e-6, -2e-6):
                flat[index] += step
                values.append(penalty().item())
            flat[index] += 1e-6
            assert gradient[index].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", GRADIENT_PENALTIES)
def test_images_get_no_gradient(kind):
    real, fake = (image.requires_grad_() for image in images())
    gradient_penalty(small_network(), real, fake, kind).backward()
    assert real.grad is None and fake.grad is None


@pytest.mark.parametrize(("kind", "value"), [("interpolated", 1.0), ("zero_centered", 0.0)])
def test_a_discriminator_without_slope_gets_finite_gradients(kind, value):
    discriminator = HalfSquare(0.0)
    penalty = gradient_penalty(discriminator, *images(), kind)
    penalty.backward()
    assert penalty.item() == value and discriminator.a.grad.isfinite()


@pytest.mark.parametrize("kind", GRADIENT_PENALTIES)
def test_mixed_precision_changes_nothing(kind):
    discriminator = small_network().float()
    real, fake = (image.bfloat16() for image in images())
    torch.manual_seed(4)
    expected = gradient_penalty(discriminator, real.float(), fake.float(), kind)
    torch.manual_seed(4)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(discriminator, real, fake, kind=kind)
    assert penalty.dtype == torch.float32 and penalty.item() == expected.item()


def test_unknown_kind_names_key_and_choices():
    with pytest.raises(ValueError, match=r"model\.gradient_penalty.*null.*interpolated, zero_centered.*'r1'"):
        gradient_penalty(small_network(), *images(), "r1")
