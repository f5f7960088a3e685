"""Which voxels show the head."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from mri_cyclegan.data.background import Background, find_background
from mri_cyclegan.data.findings import ImageWarning
from mri_cyclegan.data.foreground_warnings import foreground_warnings


@dataclass(frozen=True)
class Foreground:
    """The head in a volume.

    Attributes:
        mask: (X, Y, Z) bool; all False when the array is constant.
        array: (X, Y, Z) float32, the volume with every background made dark: only padding, and a background that is
            not dark, are changed.
        warnings: reasons why the foreground may be wrong.
    """

    mask: np.ndarray
    array: np.ndarray
    warnings: tuple[ImageWarning, ...] = ()


def foreground_mask(array: np.ndarray) -> np.ndarray:
    """Voxels of the head, (X, Y, Z) bool, by the evaluation protocol's definition; see :func:`find_foreground`."""
    return find_foreground(array).mask


def find_foreground(array: np.ndarray) -> Foreground:
    """Find the head by the evaluation protocol's definition.

    The background is found from the border inward (:mod:`mri_cyclegan.data.background`), and intensities are clipped to
    robust limits, so that neither outlier voxels nor padding affect the result. The image is then smoothed with a
    Gaussian (σ 1 voxel) and thresholded halfway between its minimum and its Otsu threshold, because the full Otsu
    threshold would lose dark tissue. The largest connected component is kept and its holes are filled.

    Args:
        array: (X, Y, Z), any finite intensities; an axis of length 1 makes it a 2-D image.

    Reference:
        Otsu, IEEE Trans. Syst. Man Cybern. 1979.
    """
    array = np.asarray(array, dtype=np.float32)
    image = np.atleast_2d(np.squeeze(array))
    if image.min() == image.max():
        return Foreground(np.zeros(array.shape, bool), array)
    background = find_background(image)
    padding = [level.of(image) for level in background.paddings]
    dark = _with_dark_background(image, background, padding)
    low, high = background.limits
    limited = dark.clip(np.float32(low), np.float32(high))
    labels, head = _label_components(limited)
    warnings = foreground_warnings(background, dark, limited, labels, head)
    mask = _fill_holes(labels == head) if head else np.zeros(image.shape, bool)
    for level in padding:
        mask &= ~level
    return Foreground(mask.reshape(array.shape), dark.reshape(array.shape), tuple(warnings))


def _with_dark_background(image: np.ndarray, background: Background, padding: list[np.ndarray]) -> np.ndarray:
    """Set padding, and a background that is not dark, to ``background.dark``; ``image`` itself if there is neither."""
    masks = list(padding)
    if background.level is not None and not background.is_dark:
        masks.append(background.level.of(image))
    for mask in masks:
        image = np.where(mask, np.float32(background.dark), image)
    return image


def _label_components(image: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected bright components, numbered from 1, and the number of the largest; 0 if there is none."""
    smooth = ndimage.gaussian_filter(image, sigma=1)
    if smooth.min() == smooth.max():
        return np.zeros(image.shape, np.int32), 0
    labels, num_parts = ndimage.label(smooth > (smooth.min() + threshold_otsu(smooth)) / 2)
    return labels, 1 if num_parts == 1 else 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    """The mask with its holes filled: all voxels that it separates from the outside of its bounding box."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    around, _ = ndimage.label(~np.pad(mask[box], 1))
    filled = np.zeros_like(mask)
    filled[box] = (around != around.flat[0])[(slice(1, -1),) * mask.ndim]
    return filled


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap of two masks, in [0, 1].

    Args:
        first: bool, of any shape, not empty.
        second: bool, of the same shape.

    Reference:
        Dice, "Measures of the amount of ecologic association between species", Ecology 1945.
    """
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))
