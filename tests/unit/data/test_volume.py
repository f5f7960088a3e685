import numpy as np

from mri_cyclegan.data.volume import grid_difference


def test_grids_are_compared_in_words():
    affine = np.eye(4)
    moved = affine.copy()
    moved[0, 3] = 0.5
    assert grid_difference(((2, 3, 4), affine), ((2, 3, 4), affine + 5e-4)) == ""
    assert grid_difference(((2, 3, 4), affine), ((2, 3, 5), affine)) == "2 × 3 × 5 voxels instead of 2 × 3 × 4"
    assert grid_difference(((2, 3, 4), affine), ((2, 3, 4), moved)) == "the affines differ by up to 0.5 mm"
