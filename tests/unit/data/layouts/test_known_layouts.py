"""The layouts that public data sets come in: recognized, with the subjects they have."""

import pytest

from mri_cyclegan.data.layouts import find_scans
from mri_cyclegan.data.layouts.detection import detect_layout, layout_from_options

PEOPLE = range(2, 8)


def ixi(n):
    return [f"IXI-{c}/IXI00{n}-{('Guys', 'HH', 'IOP')[n % 3]}-082{n}-{c}.nii.gz" for c in ("T1", "T2", "PD")]


def brats_2018(n):
    folder = f"{'HGG' if n % 2 else 'LGG'}/Brats18_TCIA0{n}_1"
    return [f"{folder}/Brats18_TCIA0{n}_1_{c}.nii.gz" for c in ("t1", "t2", "t1ce", "flair", "seg")]


def brats_2020(n):
    return [f"BraTS20_Training_00{n}/BraTS20_Training_00{n}_{c}.nii.gz" for c in ("t1", "t2", "t1ce", "flair", "seg")]


def brats_2023(n):
    return [f"BraTS-GLI-0000{n}-000/BraTS-GLI-0000{n}-000-{c}.nii.gz" for c in ("t1n", "t2w", "t1c", "t2f", "seg")]


def hcp(n):
    names = ["acpc_dc_restore", "acpc_dc_restore_brain", "acpc_dc"]
    return [f"10020{n}/T1w/{c}_{name}.nii.gz" for c in ("T1w", "T2w") for name in names]


def hcp_unprocessed(n):
    return [f"10020{n}/unprocessed/3T/{c}/10020{n}_3T_{c}.nii.gz" for c in ("T1w_MPR1", "T2w_SPC1", "AFI")]


def flat(n):
    return [f"case{n}_{c}.nii.gz" for c in ("T1", "T2")]


def person_folders(n):
    return [f"sub-0{n}/{c}.nii.gz" for c in ("T1", "T2")]


def nnunet(n):
    return [f"imagesTr/case_00{n}_000{c}.nii.gz" for c in (0, 1)] + [f"labelsTr/case_00{n}.nii.gz"]


def contrast_in_the_middle(n):
    return [f"IXI00{n}-{c}-{('Guys', 'HH', 'IOP')[n % 3]}.nii.gz" for c in ("T1", "T2")]


def contrast_first(n):
    return [f"scans/{c}_sub-0{n}.nii.gz" for c in ("T1w", "T2w")]


@pytest.mark.parametrize(
    ("make", "layout", "pattern_a"),
    [
        (ixi, "folder", None),
        (brats_2018, "pattern", "*/*/*_t1.nii.gz"),
        (brats_2020, "pattern", "*/*_t1.nii.gz"),
        (brats_2023, "pattern", "*/*-t1n.nii.gz"),
        (hcp, "pattern", "*/T1w/T1w_acpc_dc.nii.gz"),
        (hcp_unprocessed, "pattern", "*/unprocessed/3T/T1w_MPR1/*_T1w_MPR1.nii.gz"),
        (flat, "pattern", "*_T1.nii.gz"),
        (person_folders, "pattern", "*/T1.nii.gz"),
        (nnunet, "pattern", "imagesTr/*_0000.nii.gz"),
        (contrast_in_the_middle, "pattern", "*-T1-*.nii.gz"),
        (contrast_first, "pattern", "scans/T1w_*.nii.gz"),
    ],
)
def test_public_layouts_are_recognized(tmp_path, make, layout, pattern_a):
    for n in PEOPLE:
        for name in make(n):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    settings = detect_layout(tmp_path)
    assert (settings.layout, settings.pattern_a) == (layout, pattern_a)
    scans, findings, _ = find_scans(tmp_path, settings)
    assert findings == []
    people = [{scan.subject for scan in scans if scan.contrast == contrast} for contrast in settings.contrasts]
    assert people[0] == people[1] and len(people[0]) == len(scans) // 2 == len(PEOPLE)


def test_channels_are_called_as_the_data_set_says(tmp_path):
    for name in nnunet(1) + nnunet(2):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert detect_layout(tmp_path).contrasts == ("0000", "0001")
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "T2", "1": "T1"}}')
    settings = detect_layout(tmp_path)
    assert (settings.contrasts, settings.pattern_a) == (("T1w", "T2w"), "imagesTr/*_0001.nii.gz")


def test_a_missing_argument_is_named(tmp_path):
    with pytest.raises(ValueError, match="--pattern-b is missing"):
        layout_from_options(tmp_path, None, None, "*.nii", None)
    with pytest.raises(ValueError, match="--layout folder: patterns go with"):
        layout_from_options(tmp_path, "folder", None, "a*.nii", "b*.nii")
    assert layout_from_options(tmp_path, None, ["A", "B"], "a*.nii", "b*.nii").contrasts == ("A", "B")


def test_a_file_of_both_patterns_is_refused(tmp_path):
    (tmp_path / "a1.nii").touch()
    with pytest.raises(ValueError, match="matches both"):
        find_scans(tmp_path, layout_from_options(tmp_path, None, None, "a*.nii", "*1.nii"))
