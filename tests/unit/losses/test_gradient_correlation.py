import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mri_cyclegan.losses.gradient_correlation import gradient_correlation_loss
from tests.unit.losses.two_contrast_head import head


def normalized_gradients(image):
    y, x = (ndimage.sobel(image, axis, mode="nearest") / 8 for axis in (0, 1))
    return y, x, y**2 + x**2, 0.1 * (y**2 + x**2).mean() + 1e-5


def loss_by_loops(fake, source):
    """1 − 2 Σ⟨n, m⟩² / (Σ|n|⁴ + Σ|m|⁴) with the normalized gradients n and m of the two images."""
    fy, fx, f2, f_eta2 = normalized_gradients(fake)
    sy, sx, s2, s_eta2 = normalized_gradients(source)
    both = of_fake = of_source = 0.0
    for place in np.ndindex(fake.shape):
        n = np.array([fy[place], fx[place]]) / math.sqrt(f2[place] + f_eta2)
        m = np.array([sy[place], sx[place]]) / math.sqrt(s2[place] + s_eta2)
        both += (n @ m) ** 2
        of_fake += (n @ n) ** 2
        of_source += (m @ m) ** 2
    return 1 - 2 * both / (of_fake + of_source)


def test_is_the_formula():
    fake, source = np.random.default_rng(0).uniform(-1, 1, (2, 3, 9, 7))
    source[:, :4] = -1
    expected = np.mean([loss_by_loops(f, s) for f, s in zip(fake, source)])
    result = gradient_correlation_loss(torch.from_numpy(fake)[:, None], torch.from_numpy(source)[:, None])
    assert result.item() == pytest.approx(expected, abs=1e-5)


def test_borders_may_change_sign_one_by_one():
    """Where half of the borders do, the global correlation of gradients is 0, and so is its absolute value."""
    blob = head("T1w") + 1
    source, fake = torch.cat([blob, blob], dim=-1), torch.cat([blob, -blob], dim=-1)
    columns = [np.gradient(image[0, 0].numpy(), axis=1).ravel() for image in (fake, source)]
    assert abs(np.corrcoef(*columns)[0, 1]) < 1e-9
    assert gradient_correlation_loss(fake, source).item() == pytest.approx(0, abs=1e-7)


def test_edges_that_cross_have_nothing_in_common():
    ramp = torch.linspace(-1, 1, 16, dtype=torch.float64).expand(1, 1, 16, 16)
    assert gradient_correlation_loss(ramp, ramp.mT).item() == pytest.approx(1, abs=1e-5)


def test_a_missing_edge_costs_as_much_as_an_invented_one():
    complete = head("T1w")
    without = torch.where(complete.new_ones(48, 48).triu().bool(), complete, -1)
    missing = gradient_correlation_loss(without, complete).item()
    invented = gradient_correlation_loss(complete, without).item()
    assert missing == pytest.approx(invented) and missing > 0.2


@pytest.mark.parametrize(
    ("fake", "source", "expected"), [("flat", "flat", 0), ("flat", "head", 1), ("head", "flat", 1)]
)
def test_flat_images(fake, source, expected):
    images = {"flat": torch.full((1, 1, 48, 48), -1.0, dtype=torch.float64), "head": head("T1w")}
    assert gradient_correlation_loss(images[fake], images[source]).item() == pytest.approx(expected, abs=1e-4)
