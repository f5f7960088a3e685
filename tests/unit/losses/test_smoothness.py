import numpy as np
import pytest
import torch

from mri_cyclegan.losses.smoothness import smoothness_loss


def linear_field(slopes, height=7, width=5):
    """(1, 2, H, W): component i grows by slopes[i][0] a row and slopes[i][1] a column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([down * rows + right * columns for down, right in slopes])[None].double()


def test_of_a_linear_field_it_is_the_mean_of_the_squared_slopes():
    slopes = [(0.5, -1.5), (2.0, 0.25)]
    field = linear_field(slopes)
    expected = (0.5**2 + 1.5**2 + 2.0**2 + 0.25**2) / 2
    assert smoothness_loss(field).item() == pytest.approx(expected)


def test_it_is_a_mean_over_the_batch():
    fields = torch.cat([linear_field([(1.0, 0.0), (0.0, 0.0)]), linear_field([(0.0, 0.0), (0.0, 3.0)])])
    assert smoothness_loss(fields).item() == pytest.approx((1 / 2 + 9 / 2) / 2)


def test_it_is_the_mean_of_squared_differences_of_neighbors():
    field = np.random.default_rng(0).normal(size=(2, 2, 6, 4))
    expected = np.mean(np.diff(field, axis=2) ** 2) + np.mean(np.diff(field, axis=3) ** 2)
    assert smoothness_loss(torch.from_numpy(field)).item() == pytest.approx(expected)


def test_a_shift_of_the_whole_image_is_smooth():
    assert smoothness_loss(torch.full((2, 2, 6, 4), 3.7)) == 0


def test_a_displacement_that_alternates_is_not_smooth():
    """Central differences would be 0."""
    alternating = (torch.arange(64).reshape(8, 8) + torch.arange(8)[:, None]) % 2 * 2.0 - 1
    field = alternating.expand(1, 2, 8, 8)
    assert not any(slope[1:-1, 1:-1].any() for slope in np.gradient(alternating.numpy()))
    assert smoothness_loss(field) == 2**2 + 2**2
