import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from mri_cyclegan.data.histograms import NUM_BINS, histogram, mean_histogram, wasserstein

CENTERS = (np.arange(NUM_BINS) + 0.5) / NUM_BINS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_equal_numpys(dtype):
    values = np.random.default_rng(0).random((7, 30, 40)).astype(dtype)
    shares = histogram(values)
    np.testing.assert_allclose(shares, np.histogram(values, NUM_BINS, (0, 1))[0] / values.size, rtol=1e-12)
    assert shares.dtype == np.float64
    assert shares.sum() == pytest.approx(1)


def test_values_beyond_the_scale_fall_into_the_outermost_bins():
    shares = histogram(np.array([-0.3, 0.0, 1.0, 1.7, 5.0]))
    assert (shares[0], shares[-1]) == pytest.approx((0.4, 0.6))


def test_the_distance_equals_scipys():
    random = np.random.default_rng(1)
    p, q = histogram(random.beta(2, 5, 5000)), histogram(random.beta(4, 3, 3000))
    expected = wasserstein_distance(CENTERS, CENTERS, p, q)
    assert expected > 0.1
    assert wasserstein(p, q) == pytest.approx(expected, abs=1e-12)
    assert wasserstein(q, p) == pytest.approx(expected, abs=1e-12)


def test_a_shift_of_all_intensities_is_its_own_distance():
    values = np.random.default_rng(2).uniform(0.1, 0.5, 4000)
    assert wasserstein(histogram(values), histogram(values)) == 0
    assert wasserstein(histogram(values), histogram(values + 0.25)) == pytest.approx(0.25, abs=1e-9)


def test_every_subject_weighs_the_same():
    small, large = np.full(10, 0.2), np.full(1000, 0.8)
    shares = mean_histogram([histogram(small), histogram(large)])
    assert shares[int(0.2 * NUM_BINS)] == shares[int(0.8 * NUM_BINS)] == pytest.approx(0.5)
