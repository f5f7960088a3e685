import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.evaluation.subjects.slice_order import in_plane_order, slice_spacing_mm

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


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
