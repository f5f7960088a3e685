"""A data set's own folders train, val and test are the split."""

from dataclasses import replace

import pytest
from split_cases import both, divided, paired, single, subjects

from mri_cyclegan.data.layouts import LayoutSettings, find_scans


def in_part(scans, part):
    return [replace(scan, part=part) for scan in scans]


SCANS = [
    *in_part([*single(4, "T1w"), *single(4, "T2w")], "train"),
    *in_part(paired(2, "v"), "val"),
    *in_part(paired(3, "t"), "test"),
]


def test_each_subject_has_the_part_of_its_folder(tmp_path):
    split = divided(SCANS, val_share=0.9, test_share=0.05)
    assert (subjects(split.val), subjects(split.test)) == ({"v-0", "v-1"}, {"t-0", "t-1", "t-2"})
    assert len(split.train_a) == len(split.train_b) == 4
    assert split.settings.rule(split.part_folders) == {
        "folders": ["train", "val", "test"],
        "split_seed": 0,
        "allow_paired_subjects": False,
    }


def test_validation_is_drawn_from_training_where_it_has_no_folder():
    scans = [replace(scan, part="test" if scan.part == "test" else "train") for scan in SCANS]
    split = divided(scans, val_share=0.4)
    assert subjects(split.test) == {"t-0", "t-1", "t-2"}
    assert subjects(split.val) and subjects(split.val) <= {"v-0", "v-1"}  # the pairs there are
    assert split.settings.rule(split.part_folders)["val_share"] == 0.4


def test_settings_that_name_people_decide_before_folders():
    folds = [divided(SCANS, num_folds=5, fold=fold) for fold in range(5)]
    assert set.union(*(subjects(split.test) for split in folds)) == {"v-0", "v-1", "t-0", "t-1", "t-2"}
    assert folds[0].part_folders == ()


def test_a_subject_in_two_folders_and_a_scan_in_none_are_refused():
    with pytest.raises(ValueError, match="v-0: in the folders of two parts"):
        divided([*SCANS, *in_part(both(["v-0"]), "train")])
    with pytest.raises(ValueError, match=r"1 scans lie in no part's folder.*data\.split_column"):
        divided([*SCANS, *single(1, "T1w")])


@pytest.mark.parametrize(
    ("names", "contrasts"),
    [
        (["train/T1w/1.nii", "train/T2w/2.nii", "validation/T1w/3.nii", "test/T2w/4.nii"], ("T1w", "T2w")),
        (["trainA/1.nii", "train_B/2.nii", "valA/3.nii", "testB/4.nii"], ("A", "B")),
        (["T1w/train/1.nii", "T2w/Train/2.nii", "T1w/val/3.nii", "T2w/test/4.nii"], ("T1w", "T2w")),
        (
            [f"{part}/sub-{n}/anat/sub-{n}_{c}.nii" for n, part, c in ((1, "train", "T1w"), (2, "train", "T2w"))]
            + ["val/sub-3/anat/sub-3_T1w.nii", "test/sub-4/anat/sub-4_T2w.nii"],
            ("T1w", "T2w"),
        ),
    ],
)
def test_folders_of_parts_are_found_above_and_below_the_contrast(tmp_path, names, contrasts):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    layout = "bids" if "sub-1" in names[0] else "folder"
    scans = find_scans(tmp_path, LayoutSettings(layout, contrasts)).scans
    found = {(scan.subject.removeprefix("sub-"), scan.part, scan.contrast) for scan in scans}
    a, b = contrasts
    assert found == {("1", "train", a), ("2", "train", b), ("3", "val", a), ("4", "test", b)}
