import numpy as np
import pytest

from mri_cyclegan.evaluation.subjects.labels import read_lesions, read_tissues
from mri_cyclegan.evaluation.subjects.resampling import Grid

AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])
GRID = Grid((6, 7, 8), AFFINE)


@pytest.fixture
def labelled(tmp_path, save_nifti):
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:3], labels[3:5] = 1, 2
    anat = tmp_path / "derivatives" / "somebody" / "sub-01" / "anat"
    save_nifti(anat / "sub-01_dseg.nii.gz", labels, AFFINE)
    save_nifti(anat / "sub-01_label-lesion_mask.nii.gz", (labels == 2).astype(np.uint8), AFFINE)
    (tmp_path / "derivatives" / "somebody" / "dseg.tsv").write_text("index\tname\n1\tgm\n2\twm\n")
    return tmp_path, labels


def test_labels_of_derivatives_are_found_with_their_names(labelled):
    root, labels = labelled
    found, names = read_tissues(root, "sub-01", "", GRID)
    np.testing.assert_array_equal(found, labels)
    assert names == {1: "gm", 2: "wm"}
    np.testing.assert_array_equal(read_lesions(root, "sub-01", "", GRID), labels == 2)


def test_a_table_beside_the_labels_names_them_first(labelled):
    root, _ = labelled
    table = root / "derivatives" / "somebody" / "sub-01" / "anat" / "sub-01_dseg.tsv"
    table.write_text("index\tname\n1\tcortex\n")
    assert read_tissues(root, "sub-01", "", GRID)[1] == {1: "cortex", 2: "2"}


def test_whoever_has_no_labels_has_none(labelled):
    root, _ = labelled
    assert read_tissues(root, "sub-02", "", GRID) is None
    assert read_lesions(root, "sub-01", "ses-1", GRID) is None


def test_labels_on_another_grid_are_taken_from_the_same_place(labelled):
    root, labels = labelled
    shifted = AFFINE.copy()
    shifted[0, 3] = 10.0
    found, _ = read_tissues(root, "sub-01", "", Grid((5, 7, 8), shifted))
    np.testing.assert_array_equal(found, labels[1:])
