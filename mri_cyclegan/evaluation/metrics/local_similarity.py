"""Local similarity of images: the factors of SSIM."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Gaussian window of 11 pixels: 2 · round(3.5 · 1.5) + 1.
WINDOW_SIGMA = 1.5
WINDOW_TRUNCATE = 3.5
WINDOW_SIDE = 11
MAX_SCALES = 5

# SSIM's constants for intensities in [0, 1].
C1, C2 = 0.01**2, 0.03**2


class SSIMComponents:
    """Compares predictions with one target, whose local statistics are computed once.

    Args:
        target: (N, H, W) float64, in [0, 1]; windows are 2-D, and slices are mirrored at their borders.
    """

    def __init__(self, target: np.ndarray) -> None:
        self.target = target
        self.mean = _window_mean(target)
        self.variance = _window_mean(target * target) - self.mean**2

    def __call__(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Luminance, and contrast times structure, at each pixel; their product is SSIM.

        Args:
            prediction: (N, H, W) float64, in [0, 1].

        Returns:
            Two maps, each (N, H, W), in [-1, 1].

        Reference:
            Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004,
            eq. 6, 9 and 10.
        """
        mean = _window_mean(prediction)
        variance = _window_mean(prediction * prediction) - mean**2
        covariance = _window_mean(prediction * self.target) - mean * self.mean
        luminance = (2 * mean * self.mean + C1) / (mean**2 + self.mean**2 + C1)
        return luminance, (2 * covariance + C2) / (variance + self.variance + C2)


def num_scales(shape: Sequence[int]) -> int:
    """Number of MS-SSIM scales for slices of this shape: 5 if both sides are at least 176 pixels, 1 if one is below 22.

    >>> [num_scales((side, 256)) for side in (176, 175, 64, 10)]
    [5, 4, 3, 1]
    """
    fitting = [count for count in range(1, MAX_SCALES + 1) if min(shape) >= WINDOW_SIDE * 2 ** (count - 1)]
    return max(fitting, default=1)


def downsample_2x(images: np.ndarray) -> np.ndarray:
    """Means of blocks of 2 × 2 pixels, (…, H, W) to (…, H // 2, W // 2)."""
    height, width = (max(1, side // 2) for side in images.shape[-2:])
    images = images[..., : 2 * height, : 2 * width]
    blocks = images.reshape(*images.shape[:-2], height, images.shape[-2] // height, width, images.shape[-1] // width)
    return blocks.mean(axis=(-3, -1))


def _window_mean(images: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(images, (0, WINDOW_SIGMA, WINDOW_SIGMA), truncate=WINDOW_TRUNCATE)
