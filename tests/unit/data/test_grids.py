import itertools

import nibabel
import numpy as np
import pytest
from nibabel import orientations

from mri_cyclegan.data.grids import Grid, grid_difference, inside_field_of_view, resampled

SHAPE = (4, 5, 6)
OBLIQUE = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.3, -0.2, 0.1) * [0.9, 0.9, 3.0], (-80, 20, -45))
AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def stored(array, affine, axes, flips):
    """The same image in another order of its axes, and of their directions."""
    change = np.array(list(zip(axes, flips)))
    image = orientations.apply_orientation(array, change)
    return image, affine @ orientations.inv_ornt_aff(change, array.shape)


EVERY_ORDER = [
    (axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
def test_a_grid_is_one_however_it_is_stored_and_equal_places_have_equal_voxels(affine):
    array = np.random.default_rng(0).random(SHAPE)
    for axes, flips in EVERY_ORDER:
        image, other = stored(array, affine, axes, flips)
        assert grid_difference((SHAPE, affine), (image.shape, other)) == ""
        np.testing.assert_array_equal(resampled(image, other, Grid(SHAPE, affine), order=1), array)


@pytest.mark.parametrize(("voxels", "same"), [(0.009, True), (0.011, False)])
@pytest.mark.parametrize("axis", range(3))
def test_the_tolerance_is_a_hundredth_of_a_voxel_along_each_axis(axis, voxels, same):
    """0.002 mm are nothing; as a turn or another voxel size counts what the farthest voxel makes of it."""
    assert grid_difference((SHAPE, OBLIQUE), (SHAPE, OBLIQUE + 0.002 * np.eye(4)[:, 3:] @ [[0, 0, 0, 1]])) == ""
    offset = np.zeros(3)
    offset[axis] = voxels
    moved = OBLIQUE @ nibabel.affines.from_matvec(np.eye(3), offset)
    assert (grid_difference((SHAPE, OBLIQUE), (SHAPE, moved)) == "") == same
    sizes = np.ones(4)
    sizes[axis] = 1 + voxels / (SHAPE[axis] - 1)
    assert (grid_difference((SHAPE, OBLIQUE), (SHAPE, OBLIQUE @ np.diag(sizes))) == "") == same


def test_a_difference_is_told_in_words():
    image, other = stored(np.zeros((2, 3, 4)), np.eye(4), (2, 0, 1), (1, -1, 1))
    assert grid_difference(((2, 3, 5), np.eye(4)), (image.shape, other)) == "2 × 3 × 4 voxels instead of 2 × 3 × 5"
    moved = np.eye(4)
    moved[0, 3] = 0.5
    assert grid_difference(((2, 3, 4), np.eye(4)), ((2, 3, 4), moved)) == "its voxels lie up to 0.5 mm aside"


def test_intensities_are_interpolated_where_the_voxels_lie_and_end_with_the_last_voxel():
    array = np.arange(8.0).reshape(8, 1, 1)
    shifted = AFFINE.copy()
    shifted[0, 3] = 1.4
    grid = Grid((8, 1, 1), shifted)
    moved = resampled(array, AFFINE, grid, order=1)[:, 0, 0]
    assert moved == pytest.approx([1.4, 2.4, 3.4, 4.4, 5.4, 6.4, 7, 0])  # half a voxel on there is the last value
    assert inside_field_of_view(Grid((8, 1, 1), AFFINE), grid)[:, 0, 0].tolist() == [True] * 7 + [False]


def test_fine_detail_is_blurred_before_it_goes_onto_coarser_voxels():
    """Stripes of one voxel: without a blur every second of them would make the picture."""
    stripes = np.zeros((32, 8, 8), np.float32)
    stripes[::2] = 1
    coarse = resampled(stripes, np.eye(4), Grid((16, 8, 8), np.diag([2.0, 1.0, 1.0, 1.0])), order=1)
    assert np.abs(coarse[2:-2] - 0.5).max() < 0.15
    fine = resampled(stripes, np.eye(4), Grid((64, 8, 8), np.diag([0.5, 1.0, 1.0, 1.0])), order=1)
    assert fine[::2].tolist() == stripes.tolist()


def test_labels_stay_labels():
    labels = np.zeros((6, 6, 6))
    labels[2:4, 2:4, 2:4] = 7
    coarse = resampled(labels, np.eye(4), Grid((3, 3, 3), np.diag([2.0, 2.0, 2.0, 1.0])), order=0)
    assert set(np.unique(coarse)) == {0, 7}
