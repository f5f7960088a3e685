import numpy as np
import pytest

from mri_cyclegan.inference.flicker import has_flicker, slice_flicker


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_brightness_that_jumps_by_turns(axis):
    """Slices of 0.5 ± 0.03 lie 0.06 from the mean of their neighbors, whatever lies outside the head."""
    volume = np.full((9, 10, 11), 0.5)
    np.moveaxis(volume, axis, 0)[::2] += 0.03
    np.moveaxis(volume, axis, 0)[1::2] -= 0.03
    foreground = np.zeros(volume.shape, bool)
    foreground[1:-1, 1:-1, 1:-1] = True
    volume[~foreground] = np.random.default_rng(0).random((~foreground).sum())
    assert slice_flicker(volume, foreground, axis) == pytest.approx(0.06)
    assert slice_flicker(volume, foreground, (axis + 1) % 3) < 0.02


def test_a_steady_change_is_no_flicker():
    ramp = np.broadcast_to(np.linspace(0, 1, 12), (5, 6, 12))
    assert slice_flicker(ramp, np.ones(ramp.shape, bool), 2) == pytest.approx(0)


def test_slices_with_little_of_the_head_do_not_count():
    volume = np.full((8, 8, 6), 0.4)
    foreground = np.ones(volume.shape, bool)
    foreground[1:, :, -1] = False
    volume[:, :, -1] = 1
    assert slice_flicker(volume, foreground, 2) == pytest.approx(0)
    assert slice_flicker(volume[:, :, :2], foreground[:, :, :2], 2) is None
    assert slice_flicker(volume, np.zeros_like(foreground), 2) is None


def test_a_scan_that_flickers_itself_is_no_fault_of_the_network():
    assert has_flicker(0.03, 0.01)
    assert not has_flicker(0.03, 0.02)
    assert not has_flicker(0.01, 0.001)
    assert not has_flicker(None, None)
