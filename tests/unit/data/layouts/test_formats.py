"""Image files of every format: scans, or named."""

import nibabel
import numpy as np
import pytest
from bad_inputs.heads import write, write_bids, write_folder, write_pictures

from mri_cyclegan.data.layouts import LayoutSettings, find_scans
from mri_cyclegan.data.layouts.detection import detect_layout

CONTRASTS = ("T1w", "T2w")


def told(found):
    return {(finding.severity, finding.path.name, finding.problem) for finding in found.findings}


def test_a_folder_of_several_formats_has_all_of_them(tmp_path):
    write_folder(tmp_path)
    array = np.zeros((3, 4, 5), np.float32)
    nibabel.save(nibabel.Nifti1Pair(array, np.eye(4)), tmp_path / "T1w" / "sub-05_T1w.img")
    nibabel.save(nibabel.MGHImage(array, np.eye(4)), tmp_path / "T1w" / "sub-06_T1w.mgz")
    for name in ("sub-07_T1w.nrrd", "sub-08_T1w.NRRD", "sub-09_T1w.hdr", "preview.png", "notes.txt", "sub-05_T1w.json"):
        write(tmp_path / "T1w" / name, b"x")
    for settings in (
        LayoutSettings("folder", CONTRASTS),
        LayoutSettings("pattern", CONTRASTS, pattern_a="T1w/*", pattern_b="T2w/*.nii.gz"),
    ):
        found = find_scans(tmp_path, settings)
        of_a = [scan for scan in found.scans if scan.contrast == "T1w" and scan.path.suffix != ".png"]
        assert {scan.subject for scan in of_a} == {f"sub-0{number}" for number in range(1, 7)}
        assert len(of_a) == 6
        assert told(found) == {
            ("warning", "sub-07_T1w.nrrd", "left out: NRRD files are not read (and 1 more in this folder)"),
            ("error", "sub-09_T1w.hdr", "sub-09_T1w.img, the file of its voxels, is missing"),
        }


def test_other_layouts_name_what_they_do_not_read(tmp_path):
    write_bids(tmp_path / "bids")
    write(tmp_path / "bids" / "sub-01" / "anat" / "sub-01_T1w.mgz", b"x")
    found = find_scans(tmp_path / "bids", LayoutSettings("bids", CONTRASTS))
    assert len(found.scans) == 8
    assert told(found) == {("warning", "sub-01_T1w.mgz", "left out: FreeSurfer files are not read in this layout")}
    write_pictures(tmp_path / "png")
    write(tmp_path / "png" / "T1w" / "sub-09.tif", b"x")
    write(tmp_path / "png" / "T1w" / "sub-09.nii.gz", b"x")
    found = find_scans(tmp_path / "png", LayoutSettings("png", CONTRASTS))
    assert len(found.scans) == 8
    assert told(found) == {
        ("warning", "sub-09.tif", "left out: TIFF files are not read"),
        ("warning", "sub-09.nii.gz", "left out: NIfTI files are not read in this layout"),
    }


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".mgz", nibabel.MGHImage), (".img", nibabel.Nifti1Pair), (".nii", nibabel.Nifti1Image)]
)
def test_a_data_set_of_any_format_is_recognized(tmp_path, suffix, kind):
    for contrast in CONTRASTS:
        (tmp_path / contrast).mkdir()
        nibabel.save(kind(np.zeros((3, 4, 5), np.float32), np.eye(4)), tmp_path / contrast / f"sub-01{suffix}")
    assert detect_layout(tmp_path).layout == "folder"


def test_a_data_set_of_a_format_that_is_not_read_is_refused_with_the_way_out(tmp_path):
    for name in ("file_AXT1_200.h5", "file_AXT2_200.h5"):
        write(tmp_path / "multicoil_train" / name, b"\x89HDF")
    with pytest.raises(ValueError, match="images that are not read. .*HDF5 files are not read .*h5py and nibabel"):
        detect_layout(tmp_path)
