"""Who is who: the same person under many names is one person."""

import unicodedata
from pathlib import PurePath

import pytest

from mri_cyclegan.data.layouts.subjects import Place, assign_subjects

CONTRASTS = ("T1w", "T2w")


def who(*names, contrasts=CONTRASTS, pictures=False, pattern=None, names_identify=None):
    """Subjects of paths ``CONTRAST/…``, and the doubts."""
    places = [Place(name.split("/")[0], PurePath(*name.split("/")[1:]), pictures) for name in names]
    identities, warnings = assign_subjects(places, contrasts, pattern, names_identify)
    return [identity.subject if identity.is_known else "?" for identity in identities], warnings


@pytest.mark.parametrize(
    ("name_a", "name_b", "subject"),
    [
        ("IXI002-Guys-0828-T1.nii.gz", "IXI002-Guys-0828-T2.nii.gz", "IXI002-Guys-0828"),
        ("IXI001-T1-Guys.nii.gz", "IXI001-Guys-T2.nii.gz", "IXI001-Guys"),
        ("T1w_sub-01.nii", "sub-01_T2w_brain.nii", "sub-01"),
        ("sub-01_T1w_brain.nii.gz", "T2w/sub-01.nii.gz", "sub-01"),
        ("case_001_t1n.nii", "t2w_case_001.nii", "case_001"),
        ("IXI002T1.nii", "IXI002T2w.nii", "IXI002"),
        ("annaT1.nii", "anna_t2.nii", "anna"),
        ("P7-T1/scan.nii", "P7-T2/other.nii", "P7"),
        ("3T/P7/T1/scan.nii", "P7/x.nii", "P7"),
        ("sub-7/ses-1/MPRAGE.nii", "tse/sub-7_ses-2.nii", "sub-7"),
        (unicodedata.normalize("NFD", "Zoé_T1.nii"), unicodedata.normalize("NFC", "Zoé_T2.nii"), "Zoé"),
        ("IXI002_T1.nii", "ixi002_T2.nii", "IXI002"),
    ],
)
def test_a_contrast_may_stand_anywhere_in_a_name(name_a, name_b, subject):
    assert who(f"T1w/{name_a}", f"T2w/{name_b}") == ([subject, subject], [])


def test_words_that_only_look_like_a_contrast_belong_to_the_name():
    assert who("T1w/bart1.nii", "T2w/bart2.nii") == (["bart1", "bart2"], [])
    assert who("T1w/sub-T1w01.nii", "T2w/ABCT2.nii") == (["sub-T1w01", "ABCT2"], [])


def test_other_contrasts_are_dropped_by_their_own_names():
    names = ("IXI-T1/IXI002-T1.nii", "IXI-PD/IXI002-PD.nii")
    assert who(*names, contrasts=("IXI-T1", "IXI-PD")) == (["IXI002", "IXI002"], [])
    # PD stands for Parkinson's disease where neither contrast is called so.
    assert who("T1w/PD-01.nii", "T2w/HC-01.nii") == (["PD-01", "HC-01"], [])


def test_channels_of_nnu_net_are_contrasts():
    assert who("T1w/case_001_0000.nii", "T2w/case_001_0001.nii") == (["case_001", "case_001"], [])


def test_words_that_all_names_of_one_contrast_have_are_dropped_and_told():
    names = [
        f"{contrast}/{number}_{word}.nii" for contrast, word in (("T1w", "pre"), ("T2w", "post")) for number in "123"
    ]
    subjects, warnings = who(*names)
    assert subjects == [*"123", *"123"]
    assert len(warnings) == 1 and "pre in T1w and post in T2w" in warnings[0]


def test_two_sites_with_people_of_their_own_are_not_made_one():
    names = [f"T1w/Guys-IXI{n}.nii" for n in range(10, 14)] + [f"T2w/HH-IXI{n}.nii" for n in range(20, 24)]
    subjects, warnings = who(*names)
    assert len(set(subjects)) == 8 and warnings == []


def test_visits_of_one_person_are_one_person():
    names = [f"{c}/BraTS-GLI-0000{n}-00{v}/scan.nii" for c in CONTRASTS for n in (1, 2, 3) for v in range(1 + (n == 2))]
    subjects, warnings = who(*names)
    assert set(subjects) == {"BraTS-GLI-00001-000", "BraTS-GLI-00002", "BraTS-GLI-00003-000"} and warnings == []
    places = [Place(name.split("/")[0], PurePath(*name.split("/")[1:])) for name in names]
    sessions = {(who.subject, who.session) for who in assign_subjects(places, CONTRASTS, None, None).identities}
    assert ("BraTS-GLI-00002", "000") in sessions and ("BraTS-GLI-00002", "001") in sessions


def test_numbers_behind_one_beginning_are_people():
    names = [f"{contrast}/BraTS20_Training_00{number}.nii" for contrast in CONTRASTS for number in range(3)]
    assert len(set(who(*names)[0])) == 3
    assert who("T1w/control_01.nii", "T2w/patient_01.nii")[0] == ["control_01", "patient_01"]


@pytest.mark.parametrize(
    ("names", "subjects"),
    [
        (["T1w/IXI001_008.png", "T2w/IXI001_009.png", "T2w/IXI002_008.png"], ["IXI001", "IXI001", "IXI002"]),
        (["T1w/IXI001_T1_s045.png", "T2w/IXI002-T2-s001.png"], ["IXI001", "IXI002"]),
        (["T1w/slice_008_IXI001.png", "T2w/slice_009_IXI001.png", "T1w/z12_IXI2.png"], ["IXI001", "IXI001", "IXI2"]),
        (["T1w/IXI001slice045.png", "T2w/IXI002slice045.png"], ["IXI001", "IXI002"]),
        (["T1w/anna_1.png", "T2w/berta_1.png", "T2w/clara_2.png"], ["anna", "berta", "clara"]),
        (["T1w/p1/001.png", "T2w/p1/005.png"], ["p1", "p1"]),
        (["T1w/anna.png", "T2w/anna.png"], ["anna", "anna"]),
        (["T1w/0001.png", "T2w/0001.png"], ["?", "?"]),
        (["T1w/Image #10.png", "T2w/Image #70.png"], ["?", "?"]),
        (["T1w/IXI001_008.png", "T1w/IXI001_009.png", "T2w/IXI001_010.png"], ["?", "?", "?"]),
    ],
)
def test_slices_belong_to_a_head_where_their_names_tell_it(names, subjects):
    assert who(*names, pictures=True)[0] == subjects


def test_the_users_word_counts():
    names = ("T1w/0001.png", "T2w/0001.png")
    assert who(*names, pictures=True, names_identify=True)[0] == ["0001", "0001"]
    assert who(*names, pictures=True, pattern=r"(\d+)")[0] == ["0001", "0001"]
    assert who(*names, names_identify=False)[0] == ["?", "?"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ["T1w/case_001_brain.nii", "T2w/case_001_head.nii", "T1w/case_002.nii", "T1w/case_003.nii"],
            "case_001_brain and case_001_head are taken for different people",
        ),
        ([f"T1w/Guys/IXI00{n}.nii" for n in range(3)], "the folder Guys (T1w) is taken for one person"),
    ],
)
def test_names_that_may_be_one_person_are_in_doubt(names, words):
    _, (warning,) = who(*names)
    assert words in warning
