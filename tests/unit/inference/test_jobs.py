import os
from pathlib import Path

import pytest

from mri_cyclegan.data.formats.dicom_files import PREAMBLE_AND_MARK
from mri_cyclegan.inference.jobs import Job, plan, sidecar_of

CONTRASTS = ("T1w", "T2w")


def touch(root, *places):
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()
    return root


def planned(source, output, direction=None, contrasts=CONTRASTS):
    found = plan(source, output, contrasts, direction)
    return {job.place: (job.direction, job.target.relative_to(output).as_posix()) for job in found.jobs}


@pytest.mark.parametrize(
    ("source", "direction", "name"),
    [
        ("sub-07_T1w.nii.gz", None, "sub-07_desc-synth_T2w.nii.gz"),
        ("sub-07_T2w.nii", None, "sub-07_desc-synth_T1w.nii"),
        ("sub-07_ses-1_space-MNI_T1w.nii.gz", None, "sub-07_ses-1_space-MNI_desc-synth_T2w.nii.gz"),
        ("sub-07_desc-preproc_T1w.nii.gz", None, "sub-07_desc-preprocSynth_T2w.nii.gz"),
        ("sub-07_desc-brain_space-MNI_T1w.nii", None, "sub-07_space-MNI_desc-brainSynth_T2w.nii"),
        ("IXI002-T1.nii.gz", None, "IXI002_desc-synth_T2w.nii.gz"),
        ("T2w.nii.gz", None, "desc-synth_T1w.nii.gz"),
        ("head scan #1.nii.gz", "ab", "head scan #1_desc-synth_T2w.nii.gz"),
        ("slice t1.PNG", None, "slice_desc-synth_T2w.png"),
        ("slice_T1w.jpg", None, "slice_desc-synth_T2w.png"),
        ("é_T1w.NII.GZ", None, "é_desc-synth_T2w.nii.gz"),
    ],
)
def test_names_of_translations(tmp_path, source, direction, name):
    touch(tmp_path, source)
    (job,) = plan(tmp_path / source, tmp_path / "out", CONTRASTS, direction).jobs
    assert job.target == tmp_path / "out" / name
    assert job.direction == (direction or ("ab" if "T1" in source.upper() else "ba"))


@pytest.mark.parametrize(
    ("target", "sidecar", "std"),
    [
        ("sub-1_desc-synth_T2w.nii.gz", "sub-1_desc-synth_T2w.json", "sub-1_desc-synthspread_T2w.nii.gz"),
        ("a_desc-preprocSynth_T2w.nii", "a_desc-preprocSynth_T2w.json", "a_desc-preprocSynthspread_T2w.nii"),
        ("mine.nii.gz", "mine.json", "mine_spread.nii.gz"),
        ("my.slice.png", "my.slice.json", "my.slice_spread.png"),
    ],
)
def test_names_of_what_lies_beside_a_translation(tmp_path, target, sidecar, std):
    job = Job(tmp_path / "x.nii", "x.nii", "ab", tmp_path / target)
    assert (sidecar_of(job.target).name, job.std.name) == (sidecar, std)


def test_one_scan_goes_to_the_named_file_or_into_a_folder(tmp_path):
    source = touch(tmp_path, "a_T1w.nii.gz", "b_T1w.png") / "a_T1w.nii.gz"
    (tmp_path / "v1.5").mkdir()
    for output, target in (
        ("mine.nii", "mine.nii"),
        ("new/mine.nii.gz", "new/mine.nii.gz"),
        ("new", "new/a_desc-synth_T2w.nii.gz"),
        ("v1.5", "v1.5/a_desc-synth_T2w.nii.gz"),
    ):
        assert plan(source, tmp_path / output, CONTRASTS, None).jobs[0].target == tmp_path / target
    for output in ("b.png", "b.nii.gz"):
        assert plan(tmp_path / "b_T1w.png", tmp_path / output, CONTRASTS, None).jobs[0].target == tmp_path / output
    for output in ("mine.mgz", "mine.png", "mine.jpg"):
        with pytest.raises(ValueError, match=rf"{output}: .*Expected a folder, or a name in \.nii or \.nii\.gz\."):
            plan(source, tmp_path / output, CONTRASTS, None)
    with pytest.raises(ValueError, match=r"b\.jpg: .* or \.png"):
        plan(tmp_path / "b_T1w.png", tmp_path / "b.jpg", CONTRASTS, None)


def test_a_direction_against_the_name_is_doubted(tmp_path):
    source = touch(tmp_path, "a_T2w.nii.gz") / "a_T2w.nii.gz"
    (job,) = plan(source, tmp_path / "out", CONTRASTS, "ab").jobs
    assert (job.direction, job.warning) == ("ab", "its name says T2w, but T1w is asked for")
    assert plan(source, tmp_path / "out", CONTRASTS, "ba").jobs[0].warning == ""


def test_the_folder_speaks_where_the_name_does_not(tmp_path):
    source = touch(tmp_path, "T1/head.nii.gz") / "T1" / "head.nii.gz"
    assert plan(source, tmp_path / "out", CONTRASTS, None).jobs[0].direction == "ab"


def test_nothing_tells_the_direction(tmp_path):
    source = touch(tmp_path, "some/head.nii.gz") / "some" / "head.nii.gz"
    with pytest.raises(ValueError, match=r"head\.nii\.gz: its name .* T1w or T2w\. .*ab \(T1w → T2w\) or ba"):
        plan(source, tmp_path / "out", CONTRASTS, None)
    touch(tmp_path, *[f"some/{number}.nii.gz" for number in range(11)])
    with pytest.raises(ValueError, match=r"(?s)some: names do not say .*- .*0\.nii\.gz.*… and 4 more"):
        plan(tmp_path / "some", tmp_path / "out", CONTRASTS, None)


@pytest.fixture
def bids(tmp_path):
    return touch(
        tmp_path / "bids",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
        "sub-02/ses-a/func/sub-02_ses-a_bold.nii.gz",
        "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
    )


def test_a_bids_data_set_becomes_a_derivative(bids, tmp_path):
    found = plan(bids, tmp_path / "out", CONTRASTS, None)
    assert found.derivative_of == bids
    assert planned(bids, tmp_path / "out") == {
        "sub-01/anat/sub-01_T1w.nii.gz": ("ab", "sub-01/anat/sub-01_desc-synth_T2w.nii.gz"),
        "sub-01/anat/sub-01_T2w.nii.gz": ("ba", "sub-01/anat/sub-01_desc-synth_T1w.nii.gz"),
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz": ("ab", "sub-02/ses-a/anat/sub-02_ses-a_desc-synth_T2w.nii.gz"),
    }


def test_one_direction_or_one_subject_of_a_bids_data_set(bids, tmp_path):
    only = plan(bids, tmp_path / "out", CONTRASTS, "ba")
    assert [job.place for job in only.jobs] == ["sub-01/anat/sub-01_T2w.nii.gz"]
    assert only.num_other_contrast == 2
    assert list(planned(bids / "sub-02", tmp_path / "out").values()) == [
        ("ab", "sub-02/ses-a/anat/sub-02_ses-a_desc-synth_T2w.nii.gz")
    ]
    with pytest.raises(ValueError, match=r"bids: no PD or FLAIR scan in this BIDS data set"):
        plan(bids, tmp_path / "out", ("PD", "FLAIR"), None)
    with pytest.raises(ValueError, match=r"sub-02: no T2w scan .* but 1 of the other"):
        plan(bids / "sub-02", tmp_path / "out", CONTRASTS, "ba")


def test_a_folder_is_mirrored_with_the_other_contrast_in_its_folders_names(tmp_path):
    source = touch(
        tmp_path / "scans",
        "T1w/p1/head.nii.gz",
        "T2w/p1/head.nii.gz",
        "more/x_T1w.nii",
        "t1/slice.png",
        "notes.txt",
        ".hidden/T1w.nii.gz",
    )
    (source / "T1w" / "dicom").mkdir()
    (source / "T1w" / "dicom" / "1.dcm").write_bytes(PREAMBLE_AND_MARK)
    assert planned(source, tmp_path / "out") == {
        "T1w/dicom": ("ab", "T2w/dicom_desc-synth_T2w.nii.gz"),
        "T1w/p1/head.nii.gz": ("ab", "T2w/p1/head_desc-synth_T2w.nii.gz"),
        "T2w/p1/head.nii.gz": ("ba", "T1w/p1/head_desc-synth_T1w.nii.gz"),
        "more/x_T1w.nii": ("ab", "more/x_desc-synth_T2w.nii"),
        "t1/slice.png": ("ab", "T2w/slice_desc-synth_T2w.png"),
    }
    one_way = plan(source, tmp_path / "out", CONTRASTS, "ab")
    assert (len(one_way.jobs), one_way.num_other_contrast) == (4, 1)


def test_a_direction_takes_images_that_nothing_is_known_of(tmp_path):
    source = touch(tmp_path / "scans", "1.nii.gz", "2.nii.gz", "3_T2w.nii.gz")
    found = plan(source, tmp_path / "out", CONTRASTS, "ab")
    assert [job.place for job in found.jobs] == ["1.nii.gz", "2.nii.gz"]
    assert found.num_other_contrast == 1


def test_a_dicom_series_is_one_scan(tmp_path):
    series = tmp_path / "T1w" / "visit 1"
    series.mkdir(parents=True)
    for name in ("1.dcm", "2.dcm"):
        (series / name).write_bytes(PREAMBLE_AND_MARK)
    (job,) = plan(series, tmp_path / "out.nii.gz", CONTRASTS, None).jobs
    assert (job.source, job.direction, job.target) == (series, "ab", tmp_path / "out.nii.gz")


def test_a_dicom_series_does_not_hide_other_images(tmp_path):
    source = touch(tmp_path / "scans", "T1w/a_T1w.nii.gz", "T1w/below/b_T1w.png")
    (source / "T1w" / "1.dcm").write_bytes(PREAMBLE_AND_MARK)
    assert list(planned(source, tmp_path / "out")) == ["T1w", "T1w/a_T1w.nii.gz", "T1w/below/b_T1w.png"]
    assert list(planned(source / "T1w", tmp_path / "out")) == [".", "a_T1w.nii.gz", "below/b_T1w.png"]


def test_what_lies_in_the_output_is_no_input(tmp_path):
    source = touch(tmp_path / "scans", "a_T1w.nii.gz", "synth/b_T1w.nii.gz")
    (tmp_path / "link").symlink_to(source)
    for output in (source / "synth", source / "synth" / ".." / "synth", tmp_path / "link" / "synth"):
        assert list(planned(source, output)) == ["a_T1w.nii.gz"]
    for output in (source, source / "synth" / "..", tmp_path / "link"):
        with pytest.raises(ValueError, match="the folder of the scans themselves"):
            plan(source, output, CONTRASTS, None)


def test_a_bids_data_set_is_not_its_own_output(bids, tmp_path):
    (tmp_path / "link").symlink_to(bids)
    for output in (bids, tmp_path / "link", bids / "sub-01", bids / "sub-01" / "synth"):
        for source in (bids, bids / "sub-01"):
            with pytest.raises(ValueError, match="among the scans of the data set. Give another folder, such as"):
                plan(source, output, CONTRASTS, None)
    assert plan(bids, bids / "derivatives" / "synth", CONTRASTS, None).derivative_of == bids


def test_translations_are_no_scans(bids, tmp_path):
    touch(bids, *[f"sub-01/anat/sub-01_desc-{label}_T1w.nii.gz" for label in ("synth", "synthspread", "other")])
    found = plan(bids, tmp_path / "out", CONTRASTS, "ab")
    assert (len(found.jobs), found.num_synthetic) == (3, 2)
    source = touch(tmp_path / "scans", "a_T1w.nii", "a_desc-synth_T1w.nii", "b_desc-preprocSynth_T1w.nii")
    found = plan(source, tmp_path / "out", CONTRASTS, None)
    assert ([job.place for job in found.jobs], found.num_synthetic) == (["a_T1w.nii"], 2)
    (job,) = plan(source / "a_desc-synth_T1w.nii", tmp_path / "out", CONTRASTS, None).jobs  # asked for by name
    assert job.target.name == "a_desc-synthSynth_T2w.nii"


def test_a_folder_without_a_name_of_its_own(bids, tmp_path, monkeypatch):
    touch(tmp_path, "T1w/head.nii")
    monkeypatch.chdir(tmp_path / "T1w")
    assert planned(Path(), tmp_path / "out") == {"head.nii": ("ab", "head_desc-synth_T2w.nii")}
    monkeypatch.chdir(bids / "sub-01" / "anat")
    assert plan(Path(".."), tmp_path / "out", CONTRASTS, None).derivative_of == bids


def test_outputs_never_fall_on_each_other_or_on_a_scan(tmp_path):
    source = touch(tmp_path / "scans", "a_T1w.nii.gz", "a-T1.nii.gz", "b_T1w.nii.gz")
    with pytest.raises(ValueError, match=r"(?s)written to one file.*a_desc-synth_T2w\.nii\.gz: from a-T1.* and a_T1w"):
        plan(source, tmp_path / "out", CONTRASTS, None)
    with pytest.raises(ValueError, match="one of the scans themselves"):
        plan(source / "b_T1w.nii.gz", source / "b_T1w.nii.gz", CONTRASTS, None)
    os.link(source / "b_T1w.nii.gz", tmp_path / "link.nii.gz")
    with pytest.raises(ValueError, match=r"link\.nii\.gz: one of the scans themselves"):
        plan(source / "b_T1w.nii.gz", tmp_path / "link.nii.gz", CONTRASTS, None)
    os.link(source / "b_T1w.nii.gz", tmp_path / "m_spread.nii.gz")
    with pytest.raises(ValueError, match=r"m_spread\.nii\.gz: one of the scans themselves"):
        plan(tmp_path / "m_spread.nii.gz", tmp_path / "m.nii.gz", CONTRASTS, "ab")


def test_other_formats_become_nifti_and_what_is_not_read_is_told(tmp_path):
    source = touch(tmp_path / "scans", "a_T1w.mgz", "b_T1w.img", "b_T1w.hdr", "c_T1w.nrrd", "d_T1w.nii", "e_T1w.hdr")
    found = plan(source, tmp_path / "out", CONTRASTS, None)
    names = {job.place: job.target.name for job in found.jobs}
    assert names == {
        "a_T1w.mgz": "a_desc-synth_T2w.nii.gz",
        "b_T1w.img": "b_desc-synth_T2w.nii.gz",
        "d_T1w.nii": "d_desc-synth_T2w.nii",
    }
    told = {(finding.severity, finding.path.name) for finding in found.findings}
    assert told == {("warning", "c_T1w.nrrd"), ("error", "e_T1w.hdr")}
    (job,) = plan(source / "b_T1w.hdr", tmp_path / "out.nii.gz", CONTRASTS, None).jobs
    assert job.target == tmp_path / "out.nii.gz"
    with pytest.raises(ValueError, match=r"out\.mgz: cannot be written\. Expected a folder, or a name in \.nii or"):
        plan(source / "a_T1w.mgz", tmp_path / "out.mgz", CONTRASTS, None)


@pytest.mark.parametrize("names", [("a_T1w.nii", "a_T1w.nii.gz"), ("a_T1w.png", "a_T1w.nii.gz")])
def test_two_images_do_not_share_a_sidecar(tmp_path, names):
    source = touch(tmp_path / "scans", *names)
    with pytest.raises(ValueError, match=r"a_desc-synth_T2w\.json: from"):
        plan(source, tmp_path / "out", CONTRASTS, None)


def test_nothing_to_translate(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.nii does not exist"):
        plan(tmp_path / "nowhere.nii", tmp_path / "out", CONTRASTS, None)
    touch(tmp_path, "a_T1w.txt", "a_T1w.mha")
    with pytest.raises(ValueError, match=r"a_T1w\.txt: unknown file type\. Expected \.nii, "):
        plan(tmp_path / "a_T1w.txt", tmp_path / "out", CONTRASTS, None)
    with pytest.raises(ValueError, match=r"a_T1w\.mha: MetaImage files are not read\. Convert it"):
        plan(tmp_path / "a_T1w.mha", tmp_path / "out", CONTRASTS, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no scan to translate"):
        plan(tmp_path / "empty", tmp_path / "out", CONTRASTS, None)
    touch(tmp_path, "only/a_T1w.nii.gz", "only/b_T1w.nii.gz", "only/b_desc-synth_T2w.nii.gz")
    with pytest.raises(ValueError, match="but 2 of the other contrast and 1 translations"):
        plan(tmp_path / "only", tmp_path / "out", CONTRASTS, "ba")
    touch(tmp_path, "scans/a_T1w.nii.gz", "file")
    for output in ("one.nii.gz", "file"):
        with pytest.raises(ValueError, match=rf"{output}: a file, but .*scans is a folder of scans"):
            plan(tmp_path / "scans", tmp_path / output, CONTRASTS, None)


@pytest.mark.parametrize("link", ["sub-01", "sub-01/anat"])
def test_a_link_in_the_output_leads_nowhere_else(tmp_path, link):
    touch(tmp_path, "bids/sub-01/anat/sub-01_T1w.nii.gz", "elsewhere/file", "out/dataset_description.json")
    (tmp_path / "out" / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"out/sub-01/anat: leads out of .*/out\. Remove that link"):
        plan(tmp_path / "bids", tmp_path / "out", CONTRASTS, None)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert plan(tmp_path / "bids", tmp_path / "link", CONTRASTS, None).jobs  # chosen by whoever typed it


def test_a_contrast_of_dots_leads_nowhere_else(tmp_path):
    touch(tmp_path, "scans/T1w/T1w/T1w/x.nii.gz")
    with pytest.raises(ValueError, match=r"leads out of .*/out\. "):
        plan(tmp_path / "scans", tmp_path / "out", ("T1w", ".."), None)
