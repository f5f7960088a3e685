from pathlib import Path

import pytest

from mri_cyclegan.data.layouts import LayoutSettings, Scan, find_scans, require_both_contrasts

CONTRASTS = ("T1w", "T2w")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def build_scans(layout, root, contrasts, *settings, **named) -> list[Scan]:
    settings = LayoutSettings(layout, contrasts, *settings, **named)
    scans, findings, _ = find_scans(root, settings)
    assert findings == []
    require_both_contrasts(root, settings, scans)
    return scans


def found(scans: list[Scan], root: Path) -> list[tuple[str, str, str, str]]:
    return [(scan.subject, scan.session, scan.contrast, scan.path.relative_to(root).as_posix()) for scan in scans]


# BIDS


def test_bids_scans_are_found_with_and_without_sessions(tmp_path):
    touch(
        tmp_path,
        "sub-02/ses-2/anat/sub-02_ses-2_T2w.nii",
        "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-01/anat/sub-01_T1w.nii",
    )
    assert found(build_scans("bids", tmp_path, CONTRASTS), tmp_path) == [
        ("sub-01", "", "T1w", "sub-01/anat/sub-01_T1w.nii"),
        ("sub-01", "", "T2w", "sub-01/anat/sub-01_T2w.nii.gz"),
        ("sub-02", "ses-1", "T1w", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"),
        ("sub-02", "ses-2", "T2w", "sub-02/ses-2/anat/sub-02_ses-2_T2w.nii"),
    ]


def test_bids_takes_scans_of_the_contrasts_alone(tmp_path):
    touch(
        tmp_path,
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/anat/sub-01_T1w.nii.bak",
        "sub-01/anat/sub-01_T2starw.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-01/func/sub-01_T1w.nii.gz",
        "derivatives/lesions/sub-01/anat/sub-01_T1w.nii.gz",
        "sourcedata/sub-01_T1w.nii.gz",
    )
    names = [scan.path.relative_to(tmp_path).as_posix() for scan in build_scans("bids", tmp_path, CONTRASTS)]
    assert names == ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz"]


def test_a_name_of_several_lines_is_a_name(tmp_path):
    touch(tmp_path, *[f"sub-0\n1/anat/sub-0\n1_{name}.nii.gz" for name in CONTRASTS])
    assert [scan.subject for scan in build_scans("bids", tmp_path, CONTRASTS)] == ["sub-0\n1"] * 2


def test_hidden_files_of_bids_are_ignored(tmp_path):
    # A Mac leaves a file ._NAME of attributes beside each NAME on foreign disks.
    touch(tmp_path, *[f"sub-01/anat/{dot}sub-01_{name}.nii.gz" for dot in ("", "._") for name in CONTRASTS])
    assert [scan.path.name for scan in build_scans("bids", tmp_path, CONTRASTS)] == [
        "sub-01_T1w.nii.gz",
        "sub-01_T2w.nii.gz",
    ]


# Folders


@pytest.mark.parametrize(
    ("contrasts", "name_a", "name_b", "subject"),
    [
        (("T1w", "T2w"), "sub-01_T1w.nii.gz", "sub-01_T2w.nii", "sub-01"),
        (("T1", "T2"), "IXI002-Guys-T1.nii.gz", "IXI002-Guys-T2.nii.gz", "IXI002-Guys"),
        (("T1w", "T2w"), "012 t1.nii", "012 t2.nii", "012"),
        (("T1w", "T2w"), "anna.nii.gz", "anna.nii.gz", "anna"),
    ],
)
def test_the_subject_of_a_flat_folder_is_the_name_less_the_contrast(tmp_path, contrasts, name_a, name_b, subject):
    touch(tmp_path, f"{contrasts[0]}/{name_a}", f"{contrasts[1]}/{name_b}")
    scans = build_scans("folder", tmp_path, contrasts)
    assert [(scan.subject, scan.contrast) for scan in scans] == [(subject, contrasts[0]), (subject, contrasts[1])]


@pytest.mark.parametrize("name", ["ABCT1.nii", "sub-T1w01.nii", "T1w.nii"])
def test_a_contrast_within_a_word_stays_part_of_the_subject(tmp_path, name):
    touch(tmp_path, f"T1w/{name}", "T2w/b.nii")
    assert {scan.subject for scan in build_scans("folder", tmp_path, CONTRASTS)} == {Path(name).stem, "b"}


def test_the_subject_of_a_nested_folder_is_the_first_folder(tmp_path):
    touch(tmp_path, "T1w/p7/visit/scan_a.nii.gz", "T2w/p7/other.nii.gz", "T2w/p8/other.nii.gz")
    scans = build_scans("folder", tmp_path, CONTRASTS)
    assert [(scan.subject, scan.contrast) for scan in scans] == [("p7", "T1w"), ("p7", "T2w"), ("p8", "T2w")]


def test_png_slices_are_found_whatever_the_case_of_their_suffix(tmp_path):
    touch(tmp_path, "T1w/p1/001.png", "T1w/p1/002.PNG", "T2w/p1/001.png", "T2w/readme.txt")
    scans = build_scans("png", tmp_path, CONTRASTS)
    assert found(scans, tmp_path) == [
        ("p1", "", "T1w", "T1w/p1/001.png"),
        ("p1", "", "T1w", "T1w/p1/002.PNG"),
        ("p1", "", "T2w", "T2w/p1/001.png"),
    ]


def test_names_that_identify_nobody_give_no_subjects(tmp_path):
    touch(tmp_path, *[f"{contrast}/{number}.png" for contrast in CONTRASTS for number in range(3)])
    told = build_scans("png", tmp_path, CONTRASTS, names_identify_subjects=True)
    assert len({scan.subject for scan in told}) == 3 and all(scan.is_subject_known for scan in told)
    scans = build_scans("png", tmp_path, CONTRASTS, names_identify_subjects=False)
    assert not any(scan.is_subject_known for scan in scans)
    assert len({scan.subject for scan in scans}) == 6


def test_subject_pattern_finds_the_subject_in_the_path_below_the_contrast(tmp_path):
    touch(tmp_path, "T1w/siteA/x-s012-day1.nii", "T2w/siteB/y-s012-day2.nii", "T2w/siteB/y-s013.nii")
    scans = build_scans("folder", tmp_path, CONTRASTS, subject_pattern=r"s(\d+)")
    assert [(scan.subject, scan.contrast) for scan in scans] == [("012", "T1w"), ("012", "T2w"), ("013", "T2w")]


@pytest.mark.parametrize("pattern", [r"(patient\d+)", r"s\d+", r"(patient\d+)?s", "("])
def test_a_subject_pattern_that_finds_nothing_is_refused(tmp_path, pattern):
    touch(tmp_path, "T1w/s1.nii", "T2w/s2.nii")
    with pytest.raises(ValueError, match=r"data\.subject_pattern"):
        build_scans("folder", tmp_path, CONTRASTS, subject_pattern=pattern)


@pytest.mark.parametrize("layout", ["folder", "png"])
def test_hidden_files_and_folders_are_ignored(tmp_path, layout):
    suffix = "png" if layout == "png" else "nii.gz"
    hidden = ["T1w/._1.", "T1w/.checkpoints/2.", "T1w/p/.old/3.", "T2w/.partial-4."]
    touch(tmp_path, *[name + suffix for name in ["T1w/anna.", "T2w/anna.", *hidden]])
    names = [scan.path.relative_to(tmp_path).as_posix() for scan in build_scans(layout, tmp_path, CONTRASTS)]
    assert names == [f"T1w/anna.{suffix}", f"T2w/anna.{suffix}"]


def test_a_hidden_folder_above_the_data_set_does_not_hide_it(tmp_path):
    root = touch(tmp_path / ".data" / "set", "T1w/anna.png", "T2w/anna.png")
    assert len(build_scans("png", root, CONTRASTS)) == 2


# Mistakes


@pytest.mark.parametrize(
    ("layout", "name", "searched"),
    [
        ("bids", "sub-01/anat/sub-01_T1w.nii.gz", "sub-*/[ses-*/]anat/*_T2w.nii[.gz]"),
        ("folder", "T1w/sub-01.nii.gz", "T2w/**/*.nii[.gz]"),
        ("png", "T1w/anna.png", "T2w/**/*.png or *.jpg"),
    ],
)
def test_a_missing_contrast_is_refused_with_what_was_searched_and_found(tmp_path, layout, name, searched):
    touch(tmp_path, name)
    with pytest.raises(ValueError) as caught:
        build_scans(layout, tmp_path, CONTRASTS)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: both contrasts are needed, found 1 of T1w, 0 of T2w.")
    assert searched in message
    assert f"the folder holds {Path(name).parts[0]}." in message


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found 0 of T1w, 0 of T2w.*holds nothing"):
        build_scans("bids", tmp_path, CONTRASTS)


def test_a_root_that_is_no_folder_is_refused_by_its_key(tmp_path):
    with pytest.raises(ValueError, match=r"data\.root: .*nowhere is not a folder"):
        build_scans("bids", tmp_path / "nowhere", CONTRASTS)


def test_an_unknown_layout_is_refused_by_its_key(tmp_path):
    with pytest.raises(ValueError, match=r"data\.layout: expected one of bids, .*, pattern, got 'nrrd'"):
        build_scans("nrrd", tmp_path, CONTRASTS)


@pytest.mark.parametrize("contrasts", [["T1w"], ["T1w", "T1w"], ["T1w", "T2w", "FLAIR"]])
def test_contrasts_are_two_different_names(tmp_path, contrasts):
    with pytest.raises(ValueError, match=r"data\.contrasts: expected two different names"):
        build_scans("bids", tmp_path, contrasts)
