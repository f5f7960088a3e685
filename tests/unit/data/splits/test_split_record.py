"""What a split refuses, reports and saves."""

import json

import pytest

from mri_cyclegan.data.splits.split import Split
from tests.unit.data.splits.split_cases import CONTRASTS, divided, paired, scan, settings, subjects


@pytest.mark.parametrize("parts", [("train_a", "val"), ("train_b", "test"), ("val", "test")])
def test_a_split_refuses_a_subject_in_two_parts(parts):
    content = {"train_a": [], "train_b": [], "val": [], "test": []}
    for number, part in enumerate(parts):
        content[part] = [scan("sub-01", CONTRASTS[number])]
    with pytest.raises(ValueError, match="Subject sub-01 is in both"):
        Split(CONTRASTS, settings(allow_paired_subjects=True), **content)


def test_a_split_refuses_paired_training_unless_allowed():
    domains = [scan("sub-01", "T1w")], [scan("sub-01", "T2w")]
    with pytest.raises(ValueError, match=r"sub-01 give both contrasts.*data\.allow_paired_subjects=true"):
        Split(CONTRASTS, settings(), *domains, [], [])
    split = Split(CONTRASTS, settings(allow_paired_subjects=True), *domains, [], [])
    assert split.subjects_in_both_domains() == ["sub-01"]
    assert split.pairing == "1 subject gives both contrasts to training."


def test_paired_training_is_reported_and_unpaired_training_is_not():
    assert divided(paired(20)).pairing == ""
    split = divided(paired(20), allow_paired_subjects=True)
    assert split.pairing == f"{len(subjects(split.train_a))} subjects give both contrasts to training."


def test_the_saved_split_names_what_decided_and_subjects_and_files_of_each_part(tmp_path):
    split = Split(
        CONTRASTS,
        settings(allow_paired_subjects=True, val_share=0.2, stratify_by="site", split_seed=3),
        [scan("sub-02", "T1w"), scan("sub-01", "T1w")],
        [scan("sub-01", "T2w")],
        [scan("sub-é", "T1w"), scan("sub-é", "T2w")],
        [],
        left_out=["sub-09"],
    )
    split.save(tmp_path / "split.json", tmp_path)
    assert json.loads((tmp_path / "split.json").read_text(encoding="utf-8")) == {
        "root": str(tmp_path),
        "contrasts": ["T1w", "T2w"],
        "decided_by": {
            "val_share": 0.2,
            "test_share": 0.1,
            "stratify_by": "site",
            "split_seed": 3,
            "allow_paired_subjects": True,
        },
        "identity": "known",
        "subjects": {
            "train_a": ["sub-01", "sub-02"],
            "train_b": ["sub-01"],
            "val": ["sub-é"],
            "test": [],
            "left_out": ["sub-09"],
        },
        "files": {
            "train_a": ["/data/sub-02/sub-02_T1w.nii.gz", "/data/sub-01/sub-01_T1w.nii.gz"],
            "train_b": ["/data/sub-01/sub-01_T2w.nii.gz"],
            "val": ["/data/sub-é/sub-é_T1w.nii.gz", "/data/sub-é/sub-é_T2w.nii.gz"],
            "test": [],
        },
        "subjects_in_both_training_domains": ["sub-01"],
    }
