from pathlib import Path

import numpy as np
import pytest

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.evaluation.subjects.subject import find_unaligned, list_subjects

CONTRASTS = ("T1w", "T2w")


def scan(subject, contrast, session="", folder=Path("/data")):
    return Scan(subject, session, contrast, folder / f"{subject}_{contrast}.nii.gz")


def test_pairs_and_scans_without_a_partner():
    scans = [scan("sub-02", "T2w"), scan("sub-01", "T1w"), scan("sub-01", "T2w"), scan("sub-03", "T1w")]
    subjects = list_subjects(scans, CONTRASTS, ReadOptions())
    assert [(one.name, sorted(one.scans), one.is_paired) for one in subjects] == [
        ("sub-01", ["a", "b"], True),
        ("sub-02", ["b"], False),
        ("sub-03", ["a"], False),
    ]


def test_keys_are_file_names_and_tell_subjects_apart():
    scans = [
        scan("T1/Image #10", "T1"),
        scan("T1/Image #11", "T1"),
        scan("sub-01", "T1", "ses-1"),
        scan("sub-01", "T1", "ses-2"),
    ]
    keys = [subject.key for subject in list_subjects(scans, ("T1", "T2"), ReadOptions())]
    assert len(set(keys)) == 4
    assert all("/" not in key and "#" not in key and " " not in key for key in keys)


def test_every_unaligned_or_missing_target_is_named(tmp_path, save_nifti, head):
    array = head((20, 24, 16)) * 10
    moved = np.diag([10.0, 10.0, 10.0, 1.0])
    moved[0, 3] = 2.0
    straight = np.diag([10.0, 10.0, 10.0, 1.0])
    scans = []
    for subject, affine in (("sub-01", straight), ("sub-02", moved), ("sub-03", None)):
        for contrast, own in (("T1w", straight), ("T2w", affine)):
            scans.append(scan(subject, contrast, folder=tmp_path))
            if own is not None:
                save_nifti(scans[-1].path, array, own)
    findings = find_unaligned(list_subjects(scans, CONTRASTS, ReadOptions()), ReadOptions(), "grid")
    assert [finding.path.name for finding in findings.values()] == ["sub-02_T2w.nii.gz", "sub-03_T2w.nii.gz"]
    messages = [str(finding) for finding in findings.values()]
    assert "its voxels lie up to 2 mm aside" in messages[0]
    assert "cannot be read" in messages[1]


@pytest.mark.parametrize("missing", ["a", "b"])
def test_scans_without_a_partner_cannot_be_unaligned(tmp_path, missing):
    alone = scan("sub-01", CONTRASTS["ab".index(missing)], folder=tmp_path)
    assert find_unaligned(list_subjects([alone], CONTRASTS, ReadOptions()), ReadOptions(), "grid") == {}
