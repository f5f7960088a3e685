import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.evaluation.subjects.resampling import Grid, in_plane_order, resampled, slice_spacing_mm

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def test_on_its_own_grid_an_image_stays_itself():
    array = np.random.default_rng(0).random((4, 5, 6))
    assert resampled(array, AFFINE, Grid(array.shape, AFFINE), order=1) is array


def test_intensities_are_interpolated_where_the_voxels_lie():
    array = np.arange(8.0).reshape(8, 1, 1)
    shifted = AFFINE.copy()
    shifted[0, 3] = 1.5
    moved = resampled(array, AFFINE, Grid((8, 1, 1), shifted), order=1)
    assert moved[:, 0, 0] == pytest.approx([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 3.5, 0])  # beyond the image there is nothing


def test_labels_stay_labels():
    labels = np.zeros((6, 6, 6))
    labels[2:4, 2:4, 2:4] = 7
    coarse = resampled(labels, np.eye(4), Grid((3, 3, 3), np.diag([2.0, 2.0, 2.0, 1.0])), order=0)
    assert set(np.unique(coarse)) == {0, 7}


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slices_are_in_the_order_of_the_models_slices(head, plane):
    """A scan that needs no resampling lies in its slices as preprocessing lays it."""
    array = head((16, 16, 16))
    affine = nibabel.affines.from_matvec(np.array([[0, 0, -1.0], [1.0, 0, 0], [0, -1.0, 0]]), (0, 0, 0))
    prepared = Preprocessing(plane, 1.0, 16)(Volume(array, affine))
    ordered = in_plane_order(array, affine, plane)
    low, high = prepared.record["intensity_low"], prepared.record["intensity_high"]
    np.testing.assert_allclose(prepared.slices, np.clip((ordered - low) / (high - low), 0, 1) * 2 - 1, atol=1e-5)


def test_spacing_follows_the_axes():
    assert slice_spacing_mm(AFFINE, "axial") == pytest.approx((3, 2, 1))
    assert slice_spacing_mm(AFFINE, "coronal") == pytest.approx((2, 3, 1))
    assert slice_spacing_mm(AFFINE, "sagittal") == pytest.approx((1, 3, 2))
