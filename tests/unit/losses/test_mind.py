import math

import numpy as np
import pytest
import torch

from mri_cyclegan.losses.mind import mind_loss, neighborhood_descriptor
from tests.unit.losses.two_contrast_head import head


def descriptor_by_loops(image):
    """Straight from the paper, pixel by pixel, with coordinates clipped to the image."""
    height, width = image.shape

    def at(row, column):
        return min(max(row, 0), height - 1), min(max(column, 0), width - 1)

    weights = {(i, j): math.exp(-(i * i + j * j) / 2) for i in range(-3, 4) for j in range(-3, 4)}  # sigma 1
    total = sum(weights.values())
    steps = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if i or j]

    def distance(row, column, step):
        result = 0.0
        for (i, j), weight in weights.items():
            place = at(row + i, column + j)
            result += weight / total * (image[place] - image[at(place[0] + step[0], place[1] + step[1])]) ** 2
        return result

    distances = np.array([[[distance(r, c, s) for c in range(width)] for r in range(height)] for s in steps])
    nearest = [steps.index(step) for step in ((-1, 0), (0, -1), (0, 1), (1, 0))]
    variance = distances[nearest].mean(axis=0)
    likeness = np.exp(-distances / np.maximum(variance, 0.1 * variance.mean() + 1e-6))
    return likeness / likeness.max(axis=0)


def test_descriptor_is_the_papers():
    image = np.random.default_rng(0).uniform(-1, 1, (8, 11))
    image[:, 6:] = -1  # flat, where the floor of the variance counts
    result = neighborhood_descriptor(torch.from_numpy(image)[None, None])[0]
    np.testing.assert_allclose(result.numpy(), descriptor_by_loops(image), atol=1e-12)


def test_loss_is_the_mean_absolute_difference_of_descriptors():
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, 7, 6))
    expected = np.abs(descriptor_by_loops(x) - descriptor_by_loops(y)).mean()
    result = mind_loss(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None])
    assert result.item() == pytest.approx(expected, abs=1e-12)


def test_floor_follows_the_images_own_contrast():
    """A third of the contrast is not a third of the structure; only a flat image has none."""
    source = head("T1w")
    assert mind_loss(-0.3 * source + 0.2, source).item() == pytest.approx(0, abs=0.001)
    assert mind_loss(torch.full_like(source, -1.0), source).item() > 0.3


def test_nearly_blind_to_affine_changes_that_differ_from_place_to_place():
    source = torch.cat([head("T1w"), head("T1w")], dim=-1)
    changed = torch.cat([0.5 * head("T1w") - 0.5, -0.8 * head("T1w") - 0.8 - 1], dim=-1)  # both keep air at -1
    moved = torch.cat([head("T1w", 1.0), head("T1w", 1.0)], dim=-1)
    assert mind_loss(changed, source) < 0.1 * mind_loss(moved, source)
