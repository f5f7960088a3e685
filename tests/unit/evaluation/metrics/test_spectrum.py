import numpy as np
import pytest
from scipy import ndimage

from mri_cyclegan.evaluation.metrics.spectrum import NUM_BINS, log_spectrum_distance, radial_power_spectrum

ISOTROPIC = (1.0, 1.0, 1.0)


def everywhere(slices):
    return np.ones(slices.shape, bool)


def test_it_equals_a_plain_computation():
    random = np.random.default_rng(0)
    slices = random.random((3, 128, 160)).astype(np.float32)
    window = np.outer(np.hanning(130)[1:-1], np.hanning(162)[1:-1])
    powers = []
    for image in slices.astype(np.float64):
        windowed = (image - (image * window).sum() / window.sum()) * window
        powers.append(np.abs(np.fft.fft2(windowed)) ** 2 / (window**2).sum())
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(160))
    power = np.mean(powers, axis=0)
    edges = np.linspace(0, 0.5, NUM_BINS + 1)
    expected = [
        power[(frequency >= low) & (frequency < high) & (frequency > 0)].mean() for low, high in zip(edges, edges[1:])
    ]
    np.testing.assert_allclose(radial_power_spectrum(slices, ISOTROPIC, everywhere(slices)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "shape, spacing_mm", [((40, 150, 170), ISOTROPIC), ((60, 61, 90), ISOTROPIC), ((40, 100, 150), (5.0, 1.5, 0.9))]
)
def test_white_noise_has_its_variance_at_every_frequency_of_every_grid(shape, spacing_mm):
    slices = np.random.default_rng(1).normal(0.5, 0.1, shape)
    spectrum = radial_power_spectrum(slices, spacing_mm, everywhere(slices))
    assert spectrum.shape == (NUM_BINS,)
    assert spectrum.mean() == pytest.approx(0.01, rel=0.03)
    np.testing.assert_allclose(spectrum[2:], 0.01, rtol=0.15)


@pytest.mark.parametrize("rows_mm, columns_mm", [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0)])
def test_a_wave_appears_at_its_share_of_the_coarser_nyquist_frequency(rows_mm, columns_mm):
    cycles_per_mm, coarser = 6.1 / 64, max(rows_mm, columns_mm)
    wave = 0.5 + 0.2 * np.cos(2 * np.pi * cycles_per_mm * rows_mm * np.arange(128))
    slices = np.broadcast_to(wave[:, None], (1, 128, 128))
    spectrum = radial_power_spectrum(slices, (3.0, rows_mm, columns_mm), everywhere(slices))
    assert spectrum.argmax() == int(NUM_BINS * cycles_per_mm * 2 * coarser)


def test_mean_intensity_does_not_count():
    slices = np.random.default_rng(2).random((2, 64, 64))
    first, second = (radial_power_spectrum(slices + offset, ISOTROPIC, everywhere(slices)) for offset in (0, 20))
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_only_the_foregrounds_box_counts():
    random = np.random.default_rng(3)
    slices = random.random((6, 80, 90)).astype(np.float32)
    foreground = np.zeros(slices.shape, bool)
    foreground[2, 10, 20:70] = foreground[4, 5:70, 25] = True
    box = slices[[2, 4], 5:70, 20:70]
    expected = radial_power_spectrum(box, ISOTROPIC, everywhere(box))
    np.testing.assert_array_equal(radial_power_spectrum(slices, ISOTROPIC, foreground), expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 5), (1, 31, 200)])
def test_small_grids_have_every_frequency(shape):
    slices = np.random.default_rng(4).random(shape)
    assert np.isfinite(radial_power_spectrum(slices, ISOTROPIC, everywhere(slices))).all()


def test_ten_times_the_power_is_ten_db():
    power = np.geomspace(1, 1e-6, NUM_BINS)
    assert log_spectrum_distance(power, power) == 0
    assert log_spectrum_distance(10 * power, power) == pytest.approx(10)
    half = np.where(np.arange(NUM_BINS) < NUM_BINS // 2, power, power / 100)
    assert log_spectrum_distance(power, half) == pytest.approx(20 * np.sqrt(0.5))


def test_an_image_without_detail_is_far_from_one_with_it_but_not_infinitely():
    assert log_spectrum_distance(np.zeros(NUM_BINS), np.full(NUM_BINS, 1e-4)) == pytest.approx(80)


def test_the_blurrier_the_further_from_the_truth(head):
    truth = head((20, 64, 72)) / 200
    foreground = truth > 0.05
    spectra = [
        radial_power_spectrum(ndimage.gaussian_filter(truth, (0, sigma, sigma)), ISOTROPIC, foreground)
        for sigma in (0, 0.5, 1)
    ]
    none, light, heavy = (log_spectrum_distance(spectrum, spectra[0]) for spectrum in spectra)
    assert none == 0
    assert 1 < light < heavy
