"""Which voxels show the head."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu


def foreground_mask(array: np.ndarray) -> np.ndarray:
    """Voxels of the head, by the evaluation protocol's definition.

    The volume is smoothed by a Gaussian (σ 1 voxel) and cut half-way between its minimum and its Otsu threshold; the
    largest connected component is kept and its holes are filled. The full Otsu threshold would lose dark tissue.

    Args:
        array: (X, Y, Z), any finite intensities; an axis of length 1 makes it a 2-D image.

    Returns:
        (X, Y, Z) bool; all False when the array is constant.

    Reference:
        Otsu, IEEE Trans. Syst. Man Cybern. 1979.
    """
    image = np.squeeze(np.asarray(array, dtype=np.float32))
    smooth = ndimage.gaussian_filter(image, sigma=1)
    if smooth.min() == smooth.max():
        return np.zeros(array.shape, dtype=bool)
    above = smooth > (smooth.min() + threshold_otsu(smooth)) / 2
    labels, num_components = ndimage.label(above)
    if num_components > 1:
        above = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_fill_holes(above).reshape(array.shape)
