"""Numbers that no scanner gives: markers of missing voxels, and integers taken for floats."""

import numpy as np
import pytest

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions

# The largest float32 either way, netCDF's, and MINC's.
MARKERS = (np.finfo(np.float32).max, np.finfo(np.float32).min, 9.969e36, -1e37)


@pytest.fixture
def path_with(tmp_path, save_nifti, head):
    """Saves a head with these values in its first voxels."""

    def save(*values):
        array = head((8, 9, 7))
        array[0, 0, : len(values)] = values
        return save_nifti(tmp_path / "scan.nii.gz", array)

    return save


def test_markers_are_counted_with_nan_and_refused(path_with):
    with pytest.raises(UnfitFile, match="5 of 504 voxels are NaN or infinite, or beyond"):
        read_volume(path_with(np.nan, *MARKERS))


def test_markers_can_be_taken_for_0(path_with, head):
    volume = read_volume(path_with(*MARKERS), ReadOptions(nonfinite="zero"))
    expected = head((8, 9, 7))
    expected[0, 0, :4] = 0
    np.testing.assert_array_equal(volume.array, expected)
    assert "4 of 504 voxels" in str(volume.warnings[0])


@pytest.mark.parametrize("factor", [1e-6, 1e7])
def test_scans_in_unusual_units_are_read(tmp_path, save_nifti, head, factor):
    array = (head((8, 9, 7)) * factor).astype(np.float32)
    np.testing.assert_array_equal(read_volume(save_nifti(tmp_path / "scan.nii.gz", array)).array, array)


def test_integers_taken_for_floats_are_refused(tmp_path, save_nifti, head):
    array = head((8, 9, 7)).astype(np.int32).view(np.float32)
    with pytest.raises(UnfitFile, match="its largest intensity is 2e-43. Check voxel type"):
        read_volume(save_nifti(tmp_path / "scan.nii.gz", array))
