import re
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.layouts import LayoutSettings, find_scans
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.splits.content_hash import content_hash
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import Split
from mri_cyclegan.data.transforms import Preprocessing

PREPROCESSING = Preprocessing("axial", 2.0, 16)
SPLIT_SETTINGS = SplitSettings(
    split_file=None,
    split_column=None,
    num_folds=None,
    fold=0,
    val_share=0.1,
    test_share=0.1,
    stratify_by=None,
    split_seed=0,
    allow_paired_subjects=False,
)
PARTS = {"train_a": ["sub-1", "sub-2"], "train_b": ["sub-3"], "val": ["sub-4"], "test": ["sub-5", "sub-6"]}


@pytest.fixture
def root(tmp_path, head, save_nifti):
    """A BIDS data set of six subjects with both contrasts."""
    for number in range(1, 7):
        for seed, contrast in ((number, "T1w"), (10 + number, "T2w")):
            path = tmp_path / "bids" / f"sub-{number}" / "anat" / f"sub-{number}_{contrast}.nii.gz"
            save_nifti(path, head((8, 9, 7), seed), np.diag([1.0, 2.0, 3.0, 1.0]))
    return tmp_path / "bids"


@pytest.fixture
def hash_of(tmp_path):
    """Hash of a data set as a run with these parts would give it."""

    def hash_parts(root, parts=PARTS, contrasts=("T1w", "T2w"), preprocessing=PREPROCESSING):
        scans = find_scans(root, LayoutSettings("bids", tuple(contrasts))).scans
        chosen = {part: [scan for scan in scans if scan.subject in names] for part, names in parts.items()}
        for part, contrast in zip(("train_a", "train_b"), contrasts, strict=True):
            chosen[part] = [scan for scan in chosen[part] if scan.contrast == contrast]
        split = Split(contrasts, SPLIT_SETTINGS, **chosen)
        return content_hash(split, SliceCache(tmp_path / "cache", preprocessing))

    return hash_parts


def test_it_is_short_and_the_same_each_time(root, hash_of):
    assert re.fullmatch("[0-9a-f]{16}", hash_of(root))
    assert hash_of(root) == hash_of(root)


def test_names_of_folders_files_and_subjects_do_not_matter(root, hash_of, tmp_path):
    """The new names are in another order, too."""
    for path in root.rglob("*.nii.gz"):
        number, contrast = re.search(r"sub-(\d)_(T.w)", path.name).groups()
        other = (
            tmp_path / "other" / f"sub-x{9 - int(number)}" / "anat" / f"sub-x{9 - int(number)}_run-1_{contrast}.nii.gz"
        )
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other)
    parts = {part: [f"sub-x{9 - int(name[-1])}" for name in names] for part, names in PARTS.items()}
    assert hash_of(tmp_path / "other", parts) == hash_of(root)


def test_a_copy_that_is_not_packed_and_lies_otherwise_does_not_matter(root, hash_of):
    before = hash_of(root)
    path = root / "sub-1" / "anat" / "sub-1_T1w.nii.gz"
    image = nibabel.load(path)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt("PSR")
    )
    nibabel.save(image.as_reoriented(turn), path.with_suffix(""))
    path.unlink()
    assert hash_of(root) == before


def test_scans_outside_the_run_do_not_matter(root, hash_of, save_nifti, head):
    before = hash_of(root)
    save_nifti(root / "sub-7" / "anat" / "sub-7_T1w.nii.gz", head((8, 9, 7), seed=99))
    save_nifti(root / "sub-1" / "anat" / "sub-1_FLAIR.nii.gz", head((8, 9, 7), seed=98))
    assert hash_of(root) == before


def other_voxel(path):
    image = nibabel.load(path)
    array = image.get_fdata(dtype=np.float32)
    array[4, 4, 4] += 1
    nibabel.save(nibabel.Nifti1Image(array, image.affine), path)


def other_voxel_size(path):
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), np.diag([1.0, 2.5, 3.0, 1.0])), path)


@pytest.mark.parametrize("change", [other_voxel, other_voxel_size])
@pytest.mark.parametrize("name", ["sub-2_T1w", "sub-4_T2w", "sub-6_T1w"])
def test_another_voxel_or_voxel_size_of_any_scan_shows(root, hash_of, change, name):
    before = hash_of(root)
    change(root / name[:5] / "anat" / f"{name}.nii.gz")
    assert hash_of(root) != before


@pytest.mark.parametrize(
    "parts",
    [
        {**PARTS, "val": PARTS["test"], "test": PARTS["val"]},
        {**PARTS, "train_a": ["sub-1", "sub-3"], "train_b": ["sub-2"]},
        {**PARTS, "test": ["sub-5"]},
    ],
)
def test_another_part_shows(root, hash_of, parts):
    assert hash_of(root, parts) != hash_of(root)


def test_what_belongs_together_shows(root, hash_of):
    """The same scans, but two test subjects have changed their T2w."""
    before = hash_of(root)
    one, other = (root / name / "anat" / f"{name}_T2w.nii.gz" for name in ("sub-5", "sub-6"))
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)
    assert hash_of(root) != before


def test_the_order_of_the_contrasts_shows(root, hash_of):
    swapped = PARTS | {"train_a": PARTS["train_b"], "train_b": PARTS["train_a"]}
    assert hash_of(root, swapped, ("T2w", "T1w")) != hash_of(root)


@pytest.mark.parametrize("change", [{"plane": "coronal"}, {"spacing_mm": None}, {"image_size": 24}])
def test_another_preprocessing_shows(root, hash_of, change):
    assert hash_of(root, preprocessing=replace(PREPROCESSING, **change)) != hash_of(root)
