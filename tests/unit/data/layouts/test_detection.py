from pathlib import Path

import pytest

from mri_cyclegan.data.layouts.detection import detect_layout as detect


def detect_layout(*words):
    settings = detect(*words)
    return settings.layout, settings.contrasts


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(128) + b"DICM" if name.endswith(".dcm") else b"")
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sub-1/anat/sub-1_T1w.nii"], ("bids", ("T1w", "T2w"))),
        (["sub-1/ses-1/anat/sub-1_T1w.nii", "derivatives/x.nii"], ("bids", ("T1w", "T2w"))),
        (["T1w/a.nii.gz", "T2w/b.nii", "masks/c.nii"], ("folder", ("T1w", "T2w"))),
        (["PD/deep/a.NII.GZ", "FLAIR/b.nii"], ("folder", ("FLAIR", "PD"))),
        (["T1/a #1.png", "T2/b.jpg"], ("png", ("T1", "T2"))),
        (["T1/sub-1/1.dcm", "T2/sub-2/1.dcm"], ("dicom", ("T1", "T2"))),
    ],
)
def test_what_a_folder_holds_is_found_out(tmp_path, names, expected):
    assert detect_layout(touch(tmp_path, *names)) == expected


def test_one_subjects_bids_folder_is_a_data_set(tmp_path):
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii")
    assert detect_layout(tmp_path / "sub-1") == ("bids", ("T1w", "T2w"))


def test_the_users_word_counts(tmp_path):
    touch(tmp_path, "A/a.nii", "B/b.nii", "C/c.png")
    assert detect_layout(tmp_path, None, ["B", "A"]) == ("folder", ("B", "A"))
    assert detect_layout(tmp_path, "png", ["A", "C"]) == ("png", ("A", "C"))
    assert detect_layout(tmp_path, "bids", None) == ("bids", ("T1w", "T2w"))
    assert detect_layout(tmp_path, "folder") == ("folder", ("A", "B"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["no images were found", "one folder per contrast"]),
        (["A/a.nii", "B/b.nii", "C/c.nii"], ["images in A, B, C", "--contrasts A,B"]),
        (["A/a.nii", "B/b.png"], ["images in A, B"]),
        (
            ["one/sub-1/anat/sub-1_T1w.nii", "two/T1/1.png", "two/T2/2.png"],
            ["one (bids, T1w and T2w)", "two (png, T1 and T2)"],
        ),
    ],
)
def test_what_is_no_data_set_is_said_to_be_what_it_is(tmp_path, names, words):
    with pytest.raises(ValueError, match="is no data set|holds data sets") as caught:
        detect_layout(touch(tmp_path, *names))
    for word in words:
        assert word in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        detect_layout(tmp_path / "nowhere")
