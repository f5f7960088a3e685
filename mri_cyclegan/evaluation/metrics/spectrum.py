"""Radial power spectra: how much detail of each size images have."""

import numpy as np
from scipy import fft

NUM_BINS = 32

# A smaller transform has no sample of its own for the lowest frequencies.
MIN_TRANSFORM_SIZE = 4 * NUM_BINS

# Below the quantization noise of any real scan; keeps the logarithm finite for a constant image.
MIN_POWER = 1e-12


def radial_power_spectrum(
    slices: np.ndarray, spacing_mm: tuple[float, float, float], foreground: np.ndarray
) -> np.ndarray:
    """Mean power spectrum of the slices that show foreground, by radial spatial frequency.

    The slices are cropped to the foreground's bounding box, their mean is subtracted, and they are multiplied by a Hann
    window whose power is divided out. So white noise of standard deviation σ has power σ² at every frequency, for any
    grid size. Bin i holds the radial frequencies in [i, i + 1) / 32 of the Nyquist frequency of the coarser in-plane
    spacing, without the zero frequency: grids are compared relative to their resolution, not in cycles per mm.

    Args:
        slices: (N, H, W) float, in [0, 1].
        spacing_mm: distance between neighboring slices, rows and columns.
        foreground: (N, H, W) bool, at least one voxel.

    Returns:
        (32,) float64, in squared intensity per (cycle per pixel)².
    """
    slices = _cropped(slices, foreground)
    height, width = slices.shape[1:]
    window = np.outer(_hann(height), _hann(width)).astype(np.float32)
    shape = [fft.next_fast_len(max(size, MIN_TRANSFORM_SIZE), real=True) for size in (height, width)]
    power = np.zeros((shape[0], shape[1] // 2 + 1))
    for image in slices:
        # The window-weighted mean, so that the zero frequency does not leak into its neighbors.
        windowed = (image - np.average(image, weights=window)) * window
        power += np.abs(fft.rfft2(windowed.astype(np.float32, copy=False), s=shape)) ** 2
    power /= len(slices) * np.square(window, dtype=np.float64).sum()
    return _radial_means(power, shape, spacing_mm[1:])


def log_spectrum_distance(p: np.ndarray, q: np.ndarray) -> float:
    """Root mean square difference of two power spectra over their bins, in dB.

    Args:
        p: (32,), from :func:`radial_power_spectrum`, or a mean of several.
        q: the other spectrum, (32,).

    Returns:
        At least 0; 10 if one spectrum is ten times the other in every bin.
    """
    decibels = [10 * np.log10(np.maximum(power, MIN_POWER)) for power in (p, q)]
    return float(np.sqrt(np.mean((decibels[0] - decibels[1]) ** 2)))


def _cropped(slices: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """The slices that show foreground, cropped to the in-plane bounding box of the foreground of all slices."""
    assert foreground.any()
    rows, columns = np.flatnonzero(foreground.any(axis=(0, 2))), np.flatnonzero(foreground.any(axis=(0, 1)))
    shown = foreground.any(axis=(1, 2))
    return slices[shown, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _hann(size: int) -> np.ndarray:
    """Hann window without its two zeros, which would waste a pixel at either end."""
    return np.hanning(size + 2)[1:-1]


def _radial_means(power: np.ndarray, shape: list[int], spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Mean over rings of a power spectrum, given as the half that a real FFT returns."""
    coarser = max(spacing_mm)
    rows = fft.fftfreq(shape[0], spacing_mm[0] / coarser)
    columns = fft.rfftfreq(shape[1], spacing_mm[1] / coarser)
    share_of_nyquist = np.hypot(rows[:, None], columns) / 0.5
    bins = np.floor(share_of_nyquist * NUM_BINS).astype(np.intp)
    # The missing half mirrors all columns except the zero and Nyquist frequencies.
    counts = np.full(power.shape, 2.0)
    counts[:, columns == 0] = 1
    if shape[1] % 2 == 0:
        counts[:, -1] = 1
    used = (share_of_nyquist > 0) & (bins < NUM_BINS)
    totals = np.bincount(bins[used], (power * counts)[used], NUM_BINS)
    return totals / np.bincount(bins[used], counts[used], NUM_BINS)
