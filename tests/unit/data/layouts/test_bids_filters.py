"""Entities change what an image is: which scans of a BIDS data set are taken."""

import pytest

from mri_cyclegan.data.layouts import LayoutSettings, find_scans
from mri_cyclegan.data.layouts.entities import parse_filters

NAMES = ("acq-highres_run-01", "acq-highres_run-02", "acq-lowres_run-01", "part-phase", "part-mag", "ce-gd", "")


@pytest.fixture
def root(tmp_path):
    anat = tmp_path / "sub-1" / "anat"
    anat.mkdir(parents=True)
    for name in NAMES:
        (anat / f"sub-1_{name}_T1w.nii.gz".replace("__", "_")).touch()
    (anat / "sub-1_T2w.nii.gz").touch()
    return tmp_path


def find(root, filters=None):
    found = find_scans(root, LayoutSettings("bids", ("T1w", "T2w"), bids_filters=filters or {}))
    names = [scan.path.name.removeprefix("sub-1_").removesuffix("_T1w.nii.gz") for scan in found.scans]
    return {name for name in names if name in NAMES}, found


def test_a_phase_is_no_image_and_a_contrast_agent_makes_another_contrast(root):
    names, found = find(root)
    assert names == set(NAMES) - {"part-phase", "ce-gd", ""}
    told = {finding.problem.split(": ")[-1]: finding.remedy for finding in found.findings}
    assert told["part-phase is the phase or one component of a signal, no image"] == ""
    assert "{T1w: {ce: gd}}" in told["contrast-enhanced (ce-gd) is another contrast than T1w"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"acq": "highres", "run": 1}, {"acq-highres_run-01"}),
        ({"acquisition": "highres"}, {"acq-highres_run-01", "acq-highres_run-02"}),
        ({"acq": ["lowres"], "run": [1, 2]}, {"acq-lowres_run-01"}),
        ({"ce": "gd"}, {"ce-gd"}),
        ({"acq": None, "part": "mag"}, {"part-mag"}),
        ({"part": "phase"}, set()),
    ],
)
def test_a_filter_chooses_by_entities(root, wanted, names):
    found_names, found = find(root, {"T1w": wanted})
    assert found_names == names
    assert sum(scan.contrast == "T2w" for scan in found.scans) == 1  # the other contrast has no filter
    assert len(found.left_out) == len(
        set(NAMES) - names - {"part-phase"} - ({"ce-gd"} if "ce" not in wanted else set())
    )


def test_several_scans_of_a_session_are_told_with_the_filter_that_chooses(root):
    finding = next(finding for finding in find(root)[1].findings if "several T1w scans" in finding.problem)
    assert "acq: highres, lowres, none" in finding.problem and "run: 01, 02, none" in finding.problem
    assert "data.bids_filters={T1w: {acq: highres" in finding.remedy
    assert not any("several" in one.problem for one in find(root, {"T1w": {"acq": "lowres"}})[1].findings)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"FLAIR": {"acq": "a"}}, "expected entities of T1w or T2w, got FLAIR"),
        ({"T1w": "highres"}, "expected entities of T1w or T2w"),
        ({"T1w": {"aqc": "a"}}, r"data.bids_filters.T1w: aqc is no entity.*acq, ce"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(root, filters, words):
    with pytest.raises(ValueError, match=words):
        find(root, filters)


def test_filters_of_a_command_line_are_yaml():
    assert parse_filters("{T1w: {acq: highres, run: 1}}") == {"T1w": {"acq": "highres", "run": 1}}
    assert parse_filters(None) == {}
    for text in ("highres", "{T1w: ["):
        with pytest.raises(ValueError, match="--bids-filters"):
            parse_filters(text)


def test_filters_and_patterns_belong_to_their_layouts():
    with pytest.raises(ValueError, match="bids_filters applies to BIDS alone"):
        LayoutSettings("folder", ("T1w", "T2w"), bids_filters={"T1w": {"acq": "a"}})
    with pytest.raises(ValueError, match="pattern_b is missing"):
        LayoutSettings("pattern", ("T1w", "T2w"), pattern_a="*.nii")
    with pytest.raises(ValueError, match="pattern_a: for data=pattern alone"):
        LayoutSettings("png", ("T1w", "T2w"), pattern_a="*.png")
    with pytest.raises(ValueError, match="a pattern below data.root"):
        LayoutSettings("pattern", ("T1w", "T2w"), pattern_a="../*.nii", pattern_b="*.nii")
