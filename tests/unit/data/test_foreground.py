import numpy as np
import pytest
from scipy import ndimage
from skimage import filters, measure

from mri_cyclegan.data.foreground import foreground_mask


def box(shape, *corners) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(low, high) for low, high in corners)] = True
    return mask


def agreement(mask: np.ndarray, expected: np.ndarray) -> float:
    return (mask & expected).sum() / (mask | expected).sum()


@pytest.mark.parametrize("offset", [0.0, 500.0])
def test_the_mask_is_cut_half_way_between_the_minimum_and_otsu(head, offset):
    volume = head((20, 24, 18)) + np.float32(offset)
    smooth = filters.gaussian(volume.astype(np.float64), sigma=1, mode="reflect", preserve_range=True)
    above = smooth > (smooth.min() + filters.threshold_otsu(smooth)) / 2
    labels = measure.label(above, connectivity=1)
    largest = max(measure.regionprops(labels), key=lambda region: region.area)
    expected = ndimage.binary_fill_holes(labels == largest.label)
    mask = foreground_mask(volume)
    assert mask.dtype == bool
    assert mask.shape == volume.shape
    assert (mask != expected).mean() < 1e-3


def test_dark_tissue_that_otsu_would_lose_is_kept():
    shape = (24, 24, 24)
    head, dark = box(shape, (4, 20), (4, 20), (4, 20)), box(shape, (4, 20), (4, 20), (4, 10))
    volume = np.where(head, 100.0, 0.0)
    volume[dark] = 40.0
    assert filters.threshold_otsu(volume) >= 40
    assert foreground_mask(volume)[dark].mean() > 0.95


def test_the_mask_does_not_change_with_gain_and_offset(head):
    volume = head((16, 18, 14))
    np.testing.assert_array_equal(foreground_mask(volume), foreground_mask(4 * volume - 256))


def test_only_the_largest_component_is_kept():
    shape = (30, 30, 30)
    head, nose, speck = (
        box(shape, (3, 18), (3, 18), (3, 18)),
        box(shape, (22, 28), (22, 28), (22, 28)),
        box(shape, (25, 28), (2, 5), (2, 5)),
    )
    mask = foreground_mask(100.0 * (head | nose | speck))
    assert not mask[nose | speck].any()
    assert agreement(mask, head) > 0.7
    assert mask[head].mean() > 0.95


def test_holes_are_filled():
    shape = (26, 26, 26)
    head, ventricle = box(shape, (4, 22), (4, 22), (4, 22)), box(shape, (9, 17), (9, 17), (9, 17))
    mask = foreground_mask(np.where(ventricle, 0.0, 100.0 * head))
    assert mask[ventricle].all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_treated_as_a_picture(axis):
    shape = (26, 26)
    head, ventricle = box(shape, (4, 22), (4, 22)), box(shape, (9, 17), (9, 17))
    picture = np.where(ventricle, 0.0, 100.0 * head)
    mask = foreground_mask(np.expand_dims(picture, axis))
    assert mask.shape == tuple(np.insert(shape, axis, 1))
    # In 3-D a hole of a single slice is open above and below, and would not be filled.
    assert mask.squeeze(axis)[ventricle].all()
    assert not mask.squeeze(axis)[0].any()


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.567, -5.0])
@pytest.mark.parametrize("shape", [(8, 9, 10), (1, 9, 10), (1, 1, 1)])
def test_a_constant_array_has_no_foreground(value, shape):
    mask = foreground_mask(np.full(shape, value, np.float32))
    assert mask.shape == shape
    assert not mask.any()
