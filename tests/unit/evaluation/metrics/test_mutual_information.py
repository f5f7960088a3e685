import numpy as np
import pytest
from skimage import metrics as skimage_metrics

from mri_cyclegan.evaluation.metrics.mutual_information import normalized_mutual_information


def images(dtype=np.float32):
    """Two related images that span [0, 1] in the mask, as scikit-image's bins reach from minimum to maximum."""
    random = np.random.default_rng(0)
    x = random.random((6, 30, 28))
    y = np.clip(1 - x**2 + random.normal(0, 0.05, x.shape), 0, 1)
    mask = random.random(x.shape) < 0.6
    mask[0] = False
    mask[1, 0, :2] = True
    x[1, 0, :2], y[1, 0, :2] = (0, 1), (1, 0)
    return x.astype(dtype), y.astype(dtype), mask


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_equals_scikit_image_over_the_mask(dtype):
    x, y, mask = images(dtype)
    expected = skimage_metrics.normalized_mutual_information(x[mask], y[mask], bins=64)
    assert 1.1 < expected < 1.9
    assert normalized_mutual_information(x, y, mask) == pytest.approx(expected, abs=1e-6)


def test_what_lies_outside_the_mask_does_not_count():
    x, y, mask = images()
    changed = np.where(mask, y, 0.3)
    assert normalized_mutual_information(x, changed, mask) == normalized_mutual_information(x, y, mask)


def test_an_image_determines_itself_and_its_inverse():
    x = (np.random.default_rng(1).integers(0, 64, (3, 20, 20)) + 0.5) / 64
    mask = np.ones(x.shape, bool)
    assert normalized_mutual_information(x, x, mask) == pytest.approx(2)
    assert normalized_mutual_information(x, 1 - x, mask) == pytest.approx(2)


def test_a_constant_image_tells_nothing():
    x, _, mask = images()
    constant = np.full_like(x, 0.5)
    assert normalized_mutual_information(x, constant, mask) == pytest.approx(1)
    assert normalized_mutual_information(constant, constant, mask) == 1


def test_values_beyond_the_scale_count_in_the_outermost_bins():
    x, y, mask = images()
    beyond = np.where(x > 63 / 64, 3.0, np.where(x < 1 / 64, -2.0, x))
    assert normalized_mutual_information(beyond, y, mask) == normalized_mutual_information(x, y, mask)


def test_an_empty_mask_is_refused():
    x, y, mask = images()
    with pytest.raises(AssertionError, match="no voxel"):
        normalized_mutual_information(x, y, np.zeros_like(mask))
