"""Normalization of all scans to one intensity scale, whatever their units."""

from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.findings import ImageWarning
from mri_cyclegan.data.foreground import find_foreground
from mri_cyclegan.data.volume import Volume

# Foreground percentiles that map to 0 and 1.
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class ScaledVolume:
    """A volume on the common intensity scale.

    Attributes:
        array: (X, Y, Z) float32, in [0, 1].
        affine: (4, 4), voxel indices to RAS+ millimeters.
        foreground: (X, Y, Z) bool.
        low: intensity in the file's units that maps to 0.
        high: intensity in the file's units that maps to 1.
        warnings: doubts about the foreground, which the scale depends on.
    """

    array: np.ndarray
    affine: np.ndarray
    foreground: np.ndarray
    low: float
    high: float
    warnings: tuple[ImageWarning, ...] = ()


def scale_intensities(volume: Volume) -> ScaledVolume:
    """Map the foreground's percentiles 0.5 and 99.5 to 0 and 1, and clip values beyond them.

    Padding, and a background that is not dark, are set to the dark level first.

    Raises:
        ValueError: the volume or its foreground is constant, or there is no foreground; the caller adds the file name.
    """
    found = find_foreground(volume.array)
    if not found.mask.any():
        is_constant = volume.array.min() == volume.array.max()
        raise ValueError("all voxels have the same value" if is_constant else "it shows nothing but its background")
    low, high = (float(value) for value in np.percentile(found.array[found.mask], PERCENTILES))
    if not low < high:
        raise ValueError("the foreground has no contrast")
    scaled = (found.array - np.float32(low)) / np.float32(high - low)
    return ScaledVolume(scaled.clip(0, 1, out=scaled), volume.affine, found.mask, low, high, found.warnings)
