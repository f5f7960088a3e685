from pathlib import Path

import pytest

from mri_cyclegan.data.formats.registry import DICOM_SERIES, FORMATS, IMAGE_SUFFIXES, format_of, strip_suffix
from mri_cyclegan.data.formats.unsupported import UNREAD_SUFFIXES, skipped_image_finding, skipped_image_findings
from mri_cyclegan.data.reading import unknown_type_error

VOLUMES = (".nii", ".nii.gz", ".img", ".img.gz", ".mgh", ".mgz")


def test_every_ending_belongs_to_one_format_and_none_to_those_not_read():
    endings = [suffix for one in FORMATS for suffix in (*one.suffixes, *one.companions)]
    assert len(endings) == len(set(endings))
    assert not set(endings) & set(UNREAD_SUFFIXES)
    assert set(VOLUMES) < set(IMAGE_SUFFIXES)
    for suffix in endings:
        name = f"sub-07.v2_T1w{suffix.upper()}"
        assert suffix in (*format_of(Path(name)).suffixes, *format_of(Path(name)).companions)
        assert strip_suffix(name) == "sub-07.v2_T1w"


def test_a_folder_is_a_series_and_other_files_are_none(tmp_path):
    assert format_of(tmp_path) is DICOM_SERIES
    assert format_of(tmp_path / "notes.txt") is None
    assert strip_suffix("notes.txt") == "notes.txt"


@pytest.mark.parametrize(
    ("suffix", "way_out"),
    [
        (".nrrd", "3D Slicer or SimpleITK"),
        (".mha", "3D Slicer or SimpleITK"),
        (".h5", "h5py and nibabel"),
        (".tif", "PNG"),
        (".mnc", "mnc2nii"),
        (".bmp", "PNG"),
        (".dcm.gz", "gunzip"),
        (".DCM", "data=dicom"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_the_way_out(suffix, way_out):
    path = Path(f"T1w/sub-07{suffix}")
    finding = skipped_image_finding(path, VOLUMES)
    assert finding.severity == "warning"
    assert finding.problem.startswith("left out: ")
    assert way_out in finding.remedy
    refusal = unknown_type_error(path)
    assert finding.problem == f"left out: {refusal.finding.problem}"
    assert way_out in str(refusal)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.json", "a.bval", "preview.png", "README", "a.tsv", "a.raw"])
def test_what_is_read_or_no_image_is_not_named(name):
    assert skipped_image_finding(Path(name), VOLUMES) is None


def test_what_another_layout_reads_is_named():
    assert "FreeSurfer files are not read in this layout" in str(
        skipped_image_finding(Path("a.mgz"), (".nii", ".nii.gz"))
    )
    assert "Expected .png or .jpg" in str(skipped_image_finding(Path("a.nii"), (".png", ".jpg")))
    assert "Expected folders of DICOM files" in str(skipped_image_finding(Path("a.nii.gz"), ()))


def test_half_of_an_image_is_an_error(tmp_path):
    header, voxels = tmp_path / "a.hdr", tmp_path / "a.img"
    header.touch()
    assert skipped_image_finding(header, VOLUMES).severity == "error"
    assert "a.img, the file of its voxels, is missing" in str(skipped_image_finding(header, VOLUMES))
    assert skipped_image_finding(header, (".png",)) is None, "a header alone is no image"
    voxels.touch()
    assert skipped_image_finding(header, VOLUMES) is None


def test_a_folder_of_them_is_one_line_a_format(tmp_path):
    names = ["a.nrrd", "b.nrrd", "c.nrrd", "d.tif", "e.nii.gz", "f.txt"]
    first, second = skipped_image_findings([tmp_path / name for name in names], VOLUMES)
    assert str(first).startswith(f"{tmp_path}/a.nrrd: left out: NRRD files are not read (and 2 more in this folder). ")
    assert str(second).startswith(f"{tmp_path}/d.tif: left out: TIFF files are not read. ")
