import numpy as np
import pytest

from mri_cyclegan.data.grids import Grid
from mri_cyclegan.evaluation.subjects.labels import TISSUES, find_labels, label_files, read_lesions, read_tissues

AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])
GRID = Grid((6, 7, 8), AFFINE)


@pytest.fixture
def labeled(tmp_path, save_nifti):
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:3], labels[3:5] = 1, 2
    anat = tmp_path / "derivatives" / "somebody" / "sub-01" / "anat"
    save_nifti(anat / "sub-01_dseg.nii.gz", labels, AFFINE)
    save_nifti(anat / "sub-01_label-lesion_mask.nii.gz", (labels == 2).astype(np.uint8), AFFINE)
    (tmp_path / "derivatives" / "somebody" / "dseg.tsv").write_text("index\tname\n1\tgm\n2\twm\n")
    return tmp_path, labels


def test_labels_of_derivatives_are_found_with_their_names(labeled):
    root, labels = labeled
    found, names = read_tissues(root, "sub-01", "", "sub-01", GRID)
    np.testing.assert_array_equal(found, labels)
    assert names == {1: "gm", 2: "wm"}
    np.testing.assert_array_equal(read_lesions(root, "sub-01", "", "sub-01", GRID), labels == 2)


def test_a_table_beside_the_labels_names_them_first(labeled):
    root, _ = labeled
    table = root / "derivatives" / "somebody" / "sub-01" / "anat" / "sub-01_dseg.tsv"
    table.write_text("index\tname\n1\tcortex\n")
    assert read_tissues(root, "sub-01", "", "sub-01", GRID)[1] == {1: "cortex", 2: "2"}


def test_whoever_has_no_labels_has_none(labeled):
    root, _ = labeled
    assert read_tissues(root, "sub-02", "", "sub-02", GRID) is None
    assert read_lesions(root, "sub-01", "ses-1", "sub-01_ses-1", GRID) is None


def test_labels_on_another_grid_are_taken_from_the_same_place(labeled):
    root, labels = labeled
    shifted = AFFINE.copy()
    shifted[0, 3] = 10.0
    found, _ = read_tissues(root, "sub-01", "", "sub-01", Grid((5, 7, 8), shifted))
    np.testing.assert_array_equal(found, labels[1:])


@pytest.fixture
def found(tmp_path):
    """Which of some empty files fits a scan, by name."""

    def find(stem, names, session=""):
        folder = tmp_path / "derivatives" / "somebody" / stem.split("_")[0] / session / "anat"
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}_dseg.nii.gz").touch()
        path = find_labels(tmp_path, stem.split("_")[0], session, stem, TISSUES)
        return path and path.name.removesuffix("_dseg.nii.gz")

    return find


@pytest.mark.parametrize(
    ("stem", "names", "expected"),
    [
        ("sub-01_run-2", ["sub-01_run-1", "sub-01_run-2", "sub-01"], "sub-01_run-2"),
        ("sub-01_run-2", ["sub-01_run-1", "sub-01"], "sub-01"),
        ("sub-01_acq-3d_run-2", ["sub-01_acq-2d_run-2", "sub-01_run-2", "sub-01"], "sub-01_run-2"),
        ("sub-01", ["sub-01_run-1"], None),
        ("sub-01", ["sub-01_space-MNI"], None),
        ("sub-01", ["sub-01_desc-aseg"], None),
        ("sub-07_space-MNI", ["sub-07", "sub-07_space-T1w", "sub-07_space-MNI"], "sub-07_space-MNI"),
        ("sub-07_space-MNI", ["sub-07"], None),
        ("sub-01_desc-brain", ["sub-01", "sub-01_desc-brain"], "sub-01_desc-brain"),
        ("sub-01", ["sub-02"], None),
        ("sub-01", ["sub-01_hemi-R", "sub-01_hemi-L"], "sub-01_hemi-L"),
        ("IXI012", ["IXI012-T1", "IXI013-T1"], "IXI012-T1"),
        ("IXI012", ["atlas"], None),
    ],
)
def test_labels_fit_a_scan_by_their_entities(stem, names, expected, found):
    assert found(stem, names) == expected


def test_labels_of_another_session_do_not_fit(found):
    assert found("sub-01_ses-1", ["sub-01_ses-2", "sub-01"], session="ses-1") is None


def test_the_files_of_a_scan_are_those_it_is_read_from(labeled):
    root, _ = labeled
    names = [path.name for path in label_files(root, "sub-01", "", "sub-01")]
    assert names == ["sub-01_label-lesion_mask.nii.gz", "sub-01_dseg.nii.gz", "dseg.tsv"]
    assert label_files(root, "sub-01", "", "sub-01_space-MNI") == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("label\tname\n1\tgm\n", "no column 'index'"),
        ("index\tword\n1\tgm\n", "no column 'name'"),
        ("index\tname\none\tgm\n", "'one'"),
        ("name\tindex\ngm\n", "cannot be read as a table"),
    ],
)
def test_a_table_that_is_none_is_refused_by_name(content, problem, labeled):
    root, _ = labeled
    table = root / "derivatives" / "somebody" / "dseg.tsv"
    table.write_text(content)
    with pytest.raises(ValueError, match="Expected columns index") as refusal:
        read_tissues(root, "sub-01", "", "sub-01", GRID)
    assert str(refusal.value).startswith(f"{table}: ")
    assert problem in str(refusal.value)


def test_labels_of_one_name_become_one(labeled):
    root, labels = labeled
    (root / "derivatives" / "somebody" / "dseg.tsv").write_text("index\tname\n2\tgm\n1\tgm\n")
    found, names = read_tissues(root, "sub-01", "", "sub-01", GRID)
    np.testing.assert_array_equal(found, labels > 0)
    assert names == {1: "gm"}
