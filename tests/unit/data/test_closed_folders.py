"""Links that lead nowhere, and what may not be read: found, said, and never a traceback."""

from pathlib import Path

import pytest
from bad_inputs.dicom_series import write_series
from bad_inputs.heads import AFFINE, head, sound_scan, write, write_bids, write_folder
from bad_inputs.permissions import permissions_matter

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.layouts import LayoutSettings, find_scans, require_both_contrasts
from mri_cyclegan.data.layouts.detection import detect_layout
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.walking import is_folder, walk

CONTRASTS = ("T1w", "T2w")


@pytest.fixture
def closed(tmp_path):
    """A folder in a closed one."""
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    outside.chmod(0)
    yield outside / "inner"
    outside.chmod(0o700)


def find(root, layout):
    with permissions_matter():
        return find_scans(root, LayoutSettings(layout, CONTRASTS))


@pytest.mark.parametrize("name", ["sub-05", "sub-05/anat", "sub-05/ses-1", "sub-05/ses-1/anat"])
@pytest.mark.parametrize("target", ["gone", "itself", "closed"])
def test_a_bids_folder_that_leads_nowhere_is_an_error(tmp_path, closed, name, target):
    write_bids(tmp_path / "data")
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to({"gone": "gone", "itself": path.name, "closed": closed}[target])
    scans, findings, _ = find(tmp_path / "data", "bids")
    assert len(scans) == 8
    assert [(finding.severity, finding.path) for finding in findings] == [("error", path)]
    words = {"gone": "does not exist", "itself": "leads in a circle", "closed": "Permission denied"}
    assert words[target] in findings[0].problem


def test_a_file_in_the_place_of_a_bids_folder_is_none_of_its_scans(tmp_path):
    write_bids(tmp_path / "data")
    write(tmp_path / "data" / "sub-05" / "anat", b"")
    assert find(tmp_path / "data", "bids").findings == []


@pytest.mark.parametrize("layout", ["folder", "png", "dicom"])
@pytest.mark.parametrize("name", ["T1w", "T1w/sub-05", "T1w/sub-05/1"])
@pytest.mark.parametrize("target", ["gone", "closed"])
def test_a_folder_of_a_contrast_that_leads_nowhere_is_an_error(tmp_path, closed, layout, name, target):
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(target if target == "gone" else closed)
    scans, findings, _ = find(tmp_path / "data", layout)
    assert scans == []
    assert [(finding.severity, finding.path) for finding in findings] == [("error", path)]


@pytest.mark.parametrize("name", ["IM0099", "IM0099.dcm"])
def test_a_slice_that_may_not_be_read_is_part_of_its_series(tmp_path, closed, name):
    write_series(tmp_path / "data" / "T1w" / "sub-01", head(), AFFINE)
    path = tmp_path / "data" / "T1w" / "sub-01" / name
    path.symlink_to(closed / "slice")
    scans, findings, _ = find(tmp_path / "data", "dicom")
    assert [scan.path for scan in scans] == [path.parent]
    assert findings == []
    with permissions_matter(), pytest.raises(UnfitFile, match="Permission denied") as refusal:
        read_volume(path.parent)
    assert refusal.value.finding.path == path


def test_a_series_without_suffixes_that_may_not_be_read_is_not_overlooked(tmp_path):
    paths = write_series(tmp_path / "data" / "T1w" / "sub-01", head(), AFFINE, name="{}".format)
    for path in paths:
        path.chmod(0)
    scans, findings, _ = find(tmp_path / "data", "dicom")
    assert scans == []
    assert {finding.path for finding in findings} == set(paths)
    assert all(finding.severity == "error" and "Permission denied" in finding.problem for finding in findings)


def test_a_scan_that_may_not_be_read_is_refused_by_name(tmp_path, closed):
    path = tmp_path / "scan.nii.gz"
    path.symlink_to(closed / "scan.nii.gz")
    with permissions_matter(), pytest.raises(UnfitFile, match="Permission denied") as refusal:
        read_volume(path)
    assert refusal.value.finding.path == path


def test_a_scan_in_a_folder_that_may_be_listed_only_is_refused_by_name(tmp_path):
    path = write(tmp_path / "listed" / "scan.nii.gz", sound_scan(0, "T1w"))
    path.parent.chmod(0o400)
    with permissions_matter(), pytest.raises(UnfitFile, match="Permission denied"):
        read_volume(path)
    path.parent.chmod(0o700)


@pytest.mark.parametrize("layout", ["bids", "folder", "png", "dicom"])
@pytest.mark.parametrize("mode", [0, 0o100])
def test_a_data_set_that_may_not_be_listed_is_refused(tmp_path, layout, mode):
    write_folder(tmp_path / "data")
    (tmp_path / "data").chmod(mode)
    with pytest.raises(ValueError, match=r"data.root: .*data cannot be listed \(Permission denied\)"):
        find(tmp_path / "data", layout)
    (tmp_path / "data").chmod(0o700)


def test_a_data_set_is_detected_beside_what_may_not_be_looked_at(tmp_path, closed):
    write_bids(tmp_path / "data")
    for name in ("sub-00", "sub-99", "code"):
        (tmp_path / "data" / name).symlink_to(closed)
    with permissions_matter():
        assert detect_layout(tmp_path / "data") == LayoutSettings("bids", CONTRASTS)


def test_a_contrast_that_may_not_be_listed_is_named_when_nothing_is_detected(tmp_path):
    write_folder(tmp_path / "data")
    closed = tmp_path / "data" / "T2w"
    closed.chmod(0)
    with permissions_matter(), pytest.raises(ValueError, match=rf"{closed} cannot be listed \(Permission denied\)"):
        detect_layout(tmp_path / "data")
    closed.chmod(0o700)


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_a_link_to_any_folder_above_is_not_followed(tmp_path, target):
    write_folder(tmp_path / "data")
    (tmp_path / "data" / "T1w" / "more").mkdir()
    (tmp_path / "data" / "T1w" / "more" / "up").symlink_to(target)
    scans, findings, _ = find(tmp_path / "data", "folder")
    assert len(scans) == 8
    assert [(finding.severity, finding.path.name) for finding in findings] == [("warning", "up")]


def test_a_link_to_a_folder_beside_is_followed(tmp_path):
    write_folder(tmp_path / "store")
    (tmp_path / "data").mkdir()
    for contrast in CONTRASTS:
        (tmp_path / "data" / contrast).symlink_to(tmp_path / "store" / contrast)
    assert len(find(tmp_path / "data", "folder").scans) == 8


def test_a_relative_folder_is_walked_where_those_above_it_are_closed(tmp_path, monkeypatch):
    write_folder(tmp_path / "above" / "data")
    monkeypatch.chdir(tmp_path / "above")
    tmp_path.chmod(0)
    with permissions_matter():
        folders = [folder for folder, _ in walk(Path("data"), [])]
    tmp_path.chmod(0o700)
    assert len(folders) == 3


def test_what_may_not_be_looked_at_is_no_folder(tmp_path, closed):
    with permissions_matter():
        assert not is_folder(closed)


def test_a_contrast_that_could_not_be_searched_is_the_reason_that_it_is_missing(tmp_path):
    write_folder(tmp_path / "data")
    closed = tmp_path / "data" / "T2w"
    closed.chmod(0)
    found = find(tmp_path / "data", "folder")
    with pytest.raises(ValueError, match=r"found 4 of T1w, 0 of T2w.*\n- .*T2w: .*Permission denied"):
        require_both_contrasts(tmp_path / "data", LayoutSettings("folder", CONTRASTS), found.scans, found.findings)
    closed.chmod(0o700)
