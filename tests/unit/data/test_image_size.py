"""The size of an image in space shows whether its affine is in millimetres."""

import numpy as np
import pytest
from bad_inputs.dicom_series import write_series
from PIL import Image

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_shape, read_volume

ARRAY = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)


def in_units_of(mm):
    return np.diag([60 / mm, 40 / mm, 50 / mm, 1.0])


@pytest.mark.parametrize("read", [read_volume, read_shape])
@pytest.mark.parametrize(("mm", "found"), [(1000, "0.25 mm long"), (0.001, "250,000 mm long"), (1e-30, "mm long")])
def test_an_affine_in_other_units_is_refused(tmp_path, save_nifti, read, mm, found):
    path = save_nifti(tmp_path / "scan.nii.gz", ARRAY, in_units_of(mm))
    with pytest.raises(UnfitFile, match=f"{found}, so its affine is not in mm. Correct the units"):
        read(path)


@pytest.mark.parametrize("read", [read_volume, read_shape])
def test_a_series_in_other_units_is_refused(tmp_path, read):
    write_series(tmp_path / "series", ARRAY, np.diag([-600.0, -400, 500, 1]))
    with pytest.raises(UnfitFile, match="2,500 mm long, so its affine is not in mm"):
        read(tmp_path / "series")


@pytest.mark.parametrize("mm", [0.2, 1, 50])
def test_mice_and_whole_bodies_are_read(tmp_path, save_nifti, mm):
    path = save_nifti(tmp_path / "scan.nii.gz", ARRAY, in_units_of(mm))
    assert read_shape(path)[0] == read_volume(path).array.shape == (3, 4, 5)


def test_pixels_of_a_picture_have_no_known_size(tmp_path):
    Image.fromarray(np.arange(2500, dtype=np.uint16).reshape(1, 2500)).save(tmp_path / "a.png")
    assert read_volume(tmp_path / "a.png").array.shape == read_shape(tmp_path / "a.png")[0] == (1, 1, 2500)


@pytest.mark.parametrize("angle", [1e-5, 1e-4])
def test_axes_that_nearly_coincide_are_refused(tmp_path, save_nifti, angle):
    affine = np.array([[1, np.cos(angle), 0, 0], [0, np.sin(angle), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(UnfitFile, match="the affine is singular"):
        read_volume(save_nifti(tmp_path / "scan.nii.gz", ARRAY, affine))
