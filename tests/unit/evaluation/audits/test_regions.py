import numpy as np
import pytest

from mri_cyclegan.evaluation.audits.regions import bounding_box, dilate


@pytest.mark.parametrize(
    ("distance_mm", "spacing_mm", "num_voxels"),
    [
        (0.5, (1.0, 1.0, 1.0), 1),
        (1.0, (1.0, 1.0, 1.0), 7),
        (1.5, (1.0, 1.0, 1.0), 19),
        (2.0, (5.0, 1.0, 1.0), 13),  # thick slices: a disc
        (2.0, (2.0, 1.0, 2.0), 9),
    ],
)
def test_a_voxel_grows_into_the_ball_around_it(distance_mm, spacing_mm, num_voxels):
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4, 4] = True
    assert dilate(mask, distance_mm, spacing_mm).sum() == num_voxels


def test_growth_ends_at_the_edge_of_the_volume():
    mask = np.zeros((3, 5, 5), bool)
    mask[0, 0, 0] = mask[2, 4, 4] = True
    assert dilate(mask, 1.0, (1.0, 1.0, 1.0)).sum() == 8


def test_nothing_does_not_grow():
    assert not dilate(np.zeros((3, 4, 5), bool), 10.0, (1.0, 1.0, 1.0)).any()


def test_everything_stays_everything():
    assert dilate(np.ones((3, 4, 5), bool), 2.0, (1.0, 1.0, 1.0)).all()


def test_a_box_holds_the_mask_and_a_margin_in_mm():
    mask = np.zeros((20, 20, 20), bool)
    mask[8:10, 1:3, 12] = True
    assert bounding_box(mask, 3.0, (2.0, 1.0, 3.0)) == (slice(6, 12), slice(0, 6), slice(11, 14))
