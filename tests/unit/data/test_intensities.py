import numpy as np
import pytest

from mri_cyclegan.data.foreground import foreground_mask
from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.volume import Volume


def test_percentiles_of_the_foreground_become_0_and_1(head):
    array = head((20, 22, 18)) * 7 + 300
    scaled = scale_intensities(Volume(array, np.eye(4)))
    foreground = foreground_mask(array)
    low, high = np.percentile(array[foreground], (0.5, 99.5))
    np.testing.assert_array_equal(scaled.foreground, foreground)
    assert (scaled.low, scaled.high) == pytest.approx((low, high))
    np.testing.assert_allclose(scaled.array, np.clip((array - low) / (high - low), 0, 1), atol=1e-5)
    assert scaled.array.dtype == np.float32


def test_a_constant_volume_is_refused():
    with pytest.raises(ValueError, match="all voxels have the same value"):
        scale_intensities(Volume(np.ones((8, 8, 8), np.float32), np.eye(4)))
