"""What training validates on, for scans of one head as scanners and programs store them."""

import logging

import nibabel
import numpy as np
import pytest
from nibabel import orientations
from scipy import ndimage

from mri_cyclegan.data.grids import Grid, resampled
from tests.unit.data.test_datamodule import ready

SHAPE = (40, 44, 30)
AFFINE = nibabel.affines.from_matvec(np.diag([4.0, 4.0, 5.0]), (-80, -90, -70))


def like(axcodes, array, affine=AFFINE):
    """An image and its affine, stored along other axes."""
    change = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(axcodes))
    image = orientations.apply_orientation(array, change)
    return image, affine @ orientations.inv_ornt_aff(change, array.shape)


def textured(head, seed):
    """A head whose parts differ, so that it shows when they are elsewhere."""
    noise = np.random.default_rng(seed).normal(0, 1, SHAPE)
    smooth = ndimage.gaussian_filter(noise, 1.5)
    array = head(SHAPE, seed)
    return np.where(array > 20, array + 100 * smooth / smooth.std(), array).clip(0).astype(np.float32)


@pytest.fixture
def data_set(tmp_path, head, save_nifti):
    """Makes a data set whose sub-03 validates with the given T2w, and reads it."""

    def make(t2w, affine, **settings):
        root = tmp_path / "set"
        for number, (subject, contrast) in enumerate((("sub-01", "T1w"), ("sub-02", "T2w"), ("sub-03", "T1w"))):
            save_nifti(root / subject / "anat" / f"{subject}_{contrast}.nii.gz", textured(head, number), AFFINE)
        save_nifti(root / "sub-03" / "anat" / "sub-03_T2w.nii.gz", t2w, affine)
        (root / "participants.tsv").write_text(
            "participant_id\tpart\nsub-01\ttrain\nsub-02\ttrain\nsub-03\tval\n", encoding="utf-8"
        )
        return ready(root, tmp_path / "cache", split_column="part", **settings)

    return make


@pytest.mark.parametrize("axcodes", ["LAS", "PSR", "ILA"])
@pytest.mark.parametrize("rule", ["grid", "space"])
def test_another_order_of_storage_or_two_microns_are_the_same_grid(data_set, head, axcodes, rule):
    """The same scan under another name of contrast, less noise: slices of one number are the same slices."""
    array = textured(head, 2)
    image, affine = like(axcodes, array + np.float32(1e-3))
    affine[:3, 3] += 0.002
    ((a, b),) = data_set(image, affine, pairs=rule).val_pairs
    np.testing.assert_allclose(b.slices, a.slices, atol=0.02)
    assert not b.is_resampled


def test_another_grid_is_compared_where_the_scanner_put_it(data_set, head):
    """Finer voxels, turned by 3°, of which the lowest and highest slices are missing."""
    array = textured(head, 2)
    turn = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.05, 0, 0))
    other = turn @ AFFINE @ nibabel.affines.from_matvec(np.diag([0.5, 0.5, 1.0]), (0, 0, 4))
    shape = (80, 88, 22)
    data = data_set(resampled(array, AFFINE, Grid(shape, other), order=1), other)
    ((a, b),) = data.val_pairs
    assert b.is_resampled
    assert b.record["shape"] == a.record["shape"]
    assert b.record["alignment"]["registration"] is None
    assert b.record["voxel_hash"].endswith("+space")
    items = list(data.val_dataloader().dataset)
    head_a, head_b = (np.stack([item[f"foreground_{letter}"][0] for item in items]) for letter in "ab")
    common = np.stack([b.common_fov_slice(number) for number in range(b.num_slices)])
    assert common.mean() == pytest.approx(22 / 30 * 40 / 44, abs=0.06)  # the slices are padded to a square
    np.testing.assert_array_equal(head_a, a.foreground & common)
    assert (a.foreground & ~common).any()
    np.testing.assert_array_equal(head_b, b.foreground & common)
    near = [np.corrcoef(a.slices[head_a], np.roll(b.slices, step, axis=0)[head_a])[0, 1] for step in (-1, 0, 1)]
    assert near[1] > 0.95 > max(near[0], near[2])
    again = ready(data.root, data.cache.folder, split_column="part")
    assert again.val_pairs[0][1].folder == b.folder


def test_with_the_rule_grid_another_grid_is_no_pair_and_training_says_so(data_set, head, caplog):
    moved = nibabel.affines.from_matvec(np.eye(3), (0.5, 0, 0)) @ AFFINE
    with caplog.at_level(logging.WARNING):
        data = data_set(textured(head, 2) + 1, moved, pairs="grid")
    assert data.val_pairs == []
    assert any("data.pairs=grid: sub-03 (its voxels lie up to 0.5 mm aside)" in message for message in caplog.messages)
    words = data.why_no_pairs()
    assert words.startswith("No pair for validation; 1 subject has both contrasts; for validation, but not comparable")
    assert "No subject" not in words


def test_heads_that_do_not_lie_in_one_place_are_no_pair(data_set, head, caplog):
    moved = nibabel.affines.from_matvec(np.eye(3), (60.0, 0, 0)) @ AFFINE
    with caplog.at_level(logging.WARNING):
        data = data_set(textured(head, 2) + 1, moved)
    assert data.val_pairs == []
    assert any("overlaps that of" in message and "sub-03_T2w" in message for message in caplog.messages)
    assert "without a common head: sub-03" in data.why_no_pairs()


def test_registration_puts_a_moved_head_back(data_set, head):
    pytest.importorskip("SimpleITK")
    turn = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0, 0, np.radians(5)), (3, -4, 0))
    array = textured(head, 2)
    ((_, b),) = data_set(np.where(array > 20, 300 - array, array), turn @ AFFINE, pairs="register").val_pairs
    registration = b.record["alignment"]["registration"]
    assert registration["rotation_degrees"] == pytest.approx(5, abs=0.5)
    residual = np.array(registration["matrix"]) @ turn - np.eye(4)
    assert np.abs(residual @ [*registration["center_mm"], 1]).max() < 0.5


def test_scans_of_a_session_without_a_partner_of_their_own_are_told(data_set, tmp_path, head, save_nifti):
    save_nifti(tmp_path / "set" / "sub-03" / "anat" / "sub-03_run-2_T1w.nii.gz", textured(head, 9), AFFINE)
    data = data_set(textured(head, 3), AFFINE)
    assert [a.scan.path.name for a, _ in data.val_pairs] == ["sub-03_T1w.nii.gz"]
    told = "no partner of their own for sub-03_run-2_T1w.nii.gz"
    assert sum(finding.problem.endswith(told) for finding in data.findings) == 1


def test_an_unknown_rule_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data\.pairs: expected one of grid, space, register, got 'near'"):
        ready(tmp_path, tmp_path, pairs="near")


def test_registration_without_its_extra_is_refused_with_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"data\.pairs=register: .* pip install 'mri-cyclegan\[register\]'"):
        ready(tmp_path, tmp_path, pairs="register")
