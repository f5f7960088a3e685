import json
import re

import pytest

from mri_cyclegan.evaluation.subjects.own_translations import sidecar_range, sidecar_source
from mri_cyclegan.evaluation.subjects.prediction_files import match_files
from mri_cyclegan.inference.writer import STD_DESCRIPTION


@pytest.fixture
def folders(tmp_path):
    """Makes folders of empty files, ``prediction``, ``target`` and ``source``."""

    def make(**names):
        for folder, files in names.items():
            for name in files:
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return [tmp_path / folder if folder in names else None for folder in ("prediction", "target", "source")]

    return make


def matched(files):
    return [(one.name, one.target.name, one.source and one.source.name) for one in files]


def test_equal_paths_belong_together(folders):
    files = match_files(*folders(prediction=["a/1.nii.gz", "b/1.nii.gz"], target=["a/1.nii.gz", "b/1.nii.gz"]))
    assert [one.target.parent.name for one in files] == ["a", "b"]


def test_subject_and_session_of_a_bids_name_decide_whatever_else_is_in_it(folders):
    files = match_files(
        *folders(
            prediction=["sub-01/ses-2/anat/sub-01_ses-2_desc-synth_T2w.nii.gz", "sub-02_desc-synth_T2w.nii"],
            target=["sub-01_ses-1_T2w.nii.gz", "sub-01_ses-2_T2w.nii.gz", "sub-02_T2w.nii.gz"],
            source=["sub-01_ses-2_T1w.nii.gz", "sub-02_T1w.nii.gz"],
        )
    )
    assert matched(files) == [
        ("sub-01_ses-2", "sub-01_ses-2_T2w.nii.gz", "sub-01_ses-2_T1w.nii.gz"),
        ("sub-02", "sub-02_T2w.nii.gz", "sub-02_T1w.nii.gz"),
    ]


def test_a_name_with_another_ending_will_do(folders):
    files = match_files(*folders(prediction=["out/Patient 7.nii"], target=["Patient 7.NII.GZ"]))
    assert matched(files) == [("out/Patient 7", "Patient 7.NII.GZ", None)]


def test_a_data_set_with_both_contrasts_has_targets_and_sources(folders):
    names = ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"]
    of_first = folders(prediction=["sub-01/anat/sub-01_desc-synth_T2w.nii.gz"], target=names, source=names)
    assert matched(match_files(*of_first)) == [("sub-01", "sub-01_T2w.nii.gz", "sub-01_T1w.nii.gz")]


def test_a_scan_is_never_the_target_of_its_own_translation(folders):
    with pytest.raises(ValueError, match="sub-02_desc-synth_T2w.nii.gz: no target for it"):
        match_files(*folders(prediction=["sub-02_desc-synth_T2w.nii.gz"], target=["sub-02/anat/sub-02_T1w.nii.gz"]))


def test_another_run_is_no_target(folders):
    prediction = ["sub-01_run-1_desc-synth_T2w.nii.gz"]
    with pytest.raises(ValueError, match="no target for it"):
        match_files(*folders(prediction=prediction, target=["sub-01_run-2_T2w.nii.gz"]))
    both = ["sub-01_run-1_T2w.nii.gz", "sub-01_run-2_T2w.nii.gz", "sub-01_acq-x_T2w.nii.gz"]
    assert matched(match_files(*folders(prediction=prediction, target=both)))[0][1] == "sub-01_run-1_T2w.nii.gz"


@pytest.mark.parametrize("place", ["derivatives/synth", "mine"])
def test_predictions_below_the_folder_of_their_targets_are_no_targets(folders, place):
    _, target, _ = folders(target=["sub-01_T2w.nii", f"{place}/sub-01_desc-synth_T2w.nii"])
    assert [one.target for one in match_files(target / place, target, None)] == [target / "sub-01_T2w.nii"]
    (target / "sub-01_T2w.nii").rename(target / "sub-02_T2w.nii")
    with pytest.raises(ValueError, match="no target for it"):
        match_files(target / place, target, None)


def test_files_of_translate_find_their_targets_and_their_spread_is_left_out(folders):
    files = match_files(
        *folders(
            prediction=["a_desc-synth_T2w.nii", "a_desc-synthspread_T2w.nii", "b_desc-synth_T2w.nii"],
            target=["a_T2w.nii", "b.nii.gz"],
        )
    )
    assert [one.target.name for one in files] == ["a_T2w.nii", "b.nii.gz"]


def test_pictures_of_translate_find_their_targets_by_name_and_their_sources_by_the_sidecar(folders, tmp_path):
    """Numbers of slices are no contrasts, and a user's own name of an output is told by its sidecar alone."""
    names = ["IXI001_042", "IXI001_043", "IXI002_042", "case 7", "b-T2"]
    predictions = {
        "T2w/IXI001_042_desc-synth_T2w.png": "T1w/IXI001_042.png",
        "T2w/IXI001_043_desc-synth_T2w.png": "T1w/IXI001_043.png",
        "T2w/case 7_desc-synth_T2w.png": "case 7_T1w.png",
        "b_desc-synth_T2w.png": "b_T1w.png",
        "IXI002_042.png": "renamed.png",
        "mine_spread.png": None,
    }
    target = [*(f"{name}.png" for name in names)]
    source = [place for place in predictions.values() if place]
    paths = folders(prediction=predictions, target=target, source=source)
    for place, origin in predictions.items():
        meaning = "T2w image made from T1w." if origin else f"{STD_DESCRIPTION}: T2w image made from T1w."
        entries = {"GeneratedBy": [{"Name": "mri-cyclegan"}], "Sources": [origin], "Description": meaning}
        (paths[0] / place).with_suffix(".json").write_text(json.dumps(entries))
    files = match_files(*paths)
    assert [(one.target.name, str(one.source.relative_to(paths[2]))) for one in files] == [
        ("IXI002_042.png", "renamed.png"),
        ("IXI001_042.png", "T1w/IXI001_042.png"),
        ("IXI001_043.png", "T1w/IXI001_043.png"),
        ("case 7.png", "case 7_T1w.png"),
        ("b-T2.png", "b_T1w.png"),
    ]
    assert [one.subject for one in files][:3] == ["IXI002", "IXI001", "IXI001"], "slices of one head are one subject"
    assert len({one.key for one in files}) == 5


@pytest.mark.parametrize("content", ["[]", "{", '{"GeneratedBy": 3}', '{"Sources": ["T1w.nii"]}', None])
def test_sidecars_of_others_tell_nothing(folders, content):
    paths = folders(prediction=["x.nii"], target=["x.nii"], source=["T1w.nii"])
    if content is not None:
        (paths[0] / "x.json").write_text(content)
    assert (sidecar_range(paths[0] / "x.nii"), sidecar_source(paths[0] / "x.nii")) == (None, None)
    with pytest.raises(ValueError, match="no source for it"):
        match_files(*paths)


@pytest.mark.parametrize(
    ("name", "low", "high", "expected"),
    [
        ("x.png", 0, 1, (0, 65535)),
        ("x.nii.gz", 0.0, 1.0, (0, 1)),
        ("x.nii", 30, 1030.5, (30, 1030.5)),
        ("x.nii", 1, 1, None),
        ("x.nii", "0", 1, None),
        ("x.nii", 0, float("inf"), None),
    ],
)
def test_the_range_is_what_translate_wrote(tmp_path, name, low, high, expected):
    entries = {"GeneratedBy": [{"Name": "mri-cyclegan"}], "Intensities": {"Low": low, "High": high}}
    (tmp_path / "x.json").write_text(json.dumps(entries))
    assert sidecar_range(tmp_path / name) == expected


def test_everything_that_lacks_a_partner_is_named(folders):
    with pytest.raises(ValueError) as refusal:
        match_files(
            *folders(
                prediction=["sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz", "sub-03_T2w.nii.gz"],
                target=["sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz"],
                source=["sub-01_T1w.nii.gz"],
            )
        )
    message = str(refusal.value)
    assert "sub-02_T2w.nii.gz: no source for it" in message
    assert "sub-03_T2w.nii.gz: no target for it" in message
    assert "sub-01_T2w.nii.gz: no" not in message


def test_two_possible_targets_are_none(folders):
    with pytest.raises(ValueError, match="no target for it"):
        match_files(*folders(prediction=["sub-01_desc-x.nii"], target=["sub-01_run-1.nii", "sub-01_run-2.nii"]))


def test_folders_must_hold_images(folders, tmp_path):
    prediction, target, _ = folders(prediction=["1.nii"], target=["notes.txt"])
    with pytest.raises(ValueError, match="target: no image in it"):
        match_files(prediction, target, None)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        match_files(prediction, tmp_path / "nowhere", None)


def test_keys_are_names_of_files(folders):
    (one,) = match_files(*folders(prediction=["Image #1 é.png"], target=["Image #1 é.png"]))
    assert re.fullmatch(r"Image--1-é-[0-9a-f]{8}", one.key)


def test_files_of_one_name_in_two_folders_are_told_apart(folders):
    names = ["patient1/T2.nii.gz", "patient2/T2.nii.gz"]
    files = match_files(*folders(prediction=names, target=names))
    assert [one.name for one in files] == ["patient1/T2", "patient2/T2"]
    assert len({one.key for one in files}) == 2
    assert all("/" not in one.key for one in files)


def test_keys_differ_where_names_do_not(folders):
    names = ["sub-01_run-1_T2w.nii", "sub-01_run-2_T2w.nii", "a b.nii", "a-b.nii"]
    files = match_files(*folders(prediction=names, target=names))
    assert [one.name for one in files] == ["a b", "a-b", "sub-01", "sub-01"]
    assert [one.scan for one in files] == ["a b", "a-b", "sub-01_run-1_T2w", "sub-01_run-2_T2w"]
    assert len({one.key for one in files}) == 4


def test_subject_and_session_are_those_of_the_path(folders):
    names = ["sub-01/ses-2/T2w.nii", "ses-3/x.nii"]
    first, second = match_files(*folders(prediction=names, target=names))
    assert (first.subject, first.session) == ("ses-3/x", "")
    assert (second.subject, second.session) == ("sub-01", "ses-2")


def test_predictions_that_share_a_target_are_named(folders):
    with pytest.raises(ValueError) as refusal:
        match_files(
            *folders(
                prediction=["sub-01_run-1.nii", "sub-01_run-2.nii", "sub-02.nii"], target=["sub-01.nii", "sub-02.nii"]
            )
        )
    message = str(refusal.value)
    assert "2 problems" in message
    for name in ("sub-01_run-1.nii", "sub-01_run-2.nii"):
        assert f"{name}: its target" in message
