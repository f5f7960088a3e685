"""One intensity scale for all scans, whatever their scanner's units."""

from dataclasses import dataclass

import numpy as np

from mri_cyclegan.data.foreground import foreground_mask
from mri_cyclegan.data.volume import Volume

# Percentiles of the foreground that become the ends of the scale.
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class ScaledVolume:
    """A volume on the common scale.

    Attributes:
        array: (X, Y, Z) float32, in [0, 1].
        affine: (4, 4), voxel indices to RAS+ millimetres.
        foreground: (X, Y, Z) bool.
        low: intensity in the file's units that became 0.
        high: likewise 1.
    """

    array: np.ndarray
    affine: np.ndarray
    foreground: np.ndarray
    low: float
    high: float


def scale_intensities(volume: Volume) -> ScaledVolume:
    """Scale a volume by its own foreground: percentiles 0.5 and 99.5 become 0 and 1, values beyond are clipped.

    Raises:
        ValueError: the volume or its foreground is constant; the caller adds the file's name.
    """
    foreground = foreground_mask(volume.array)
    if not foreground.any():
        raise ValueError("all voxels have the same value")
    low, high = (float(value) for value in np.percentile(volume.array[foreground], PERCENTILES))
    if not low < high:
        raise ValueError("the foreground has no contrast")
    scaled = (volume.array - np.float32(low)) / np.float32(high - low)
    return ScaledVolume(scaled.clip(0, 1, out=scaled), volume.affine, foreground, low, high)
