from pathlib import Path

import numpy as np
import pytest

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.pairs import find_pairs, find_unpaired_scans

CONTRASTS = ("T1w", "T2w")
FINE, COARSE, OTHER = (((8, 8, 8), np.diag([mm, mm, mm, 1.0])) for mm in (1.0, 2.0, 3.0))


def scan(name: str, session: str = "") -> Scan:
    """``sub-1_run-2_T1w`` as BIDS has it."""
    subject, contrast = name.split("_")[0], name.split("_")[-1]
    return Scan(subject, session, contrast, Path("/data") / subject / session / "anat" / f"{name}.nii.gz")


def paired(grids, contrasts=CONTRASTS):
    """Names of the pairs of scans, name to grid, and whether each is on one grid."""
    scans = {scan(name): grid for name, grid in grids.items()}
    pairs = find_pairs(list(scans), contrasts, scans.__getitem__)
    return [(*(one.path.name.removesuffix(".nii.gz") for one in pair[:2]), not pair.difference) for pair in pairs]


def test_two_runs_of_one_contrast_on_the_grid_of_the_other_give_one_pair():
    grids = dict.fromkeys(("sub-1_run-1_T1w", "sub-1_run-2_T1w", "sub-1_T2w"), FINE)
    assert paired(grids) == [("sub-1_run-1_T1w", "sub-1_T2w", True)]
    assert paired(grids, ("T2w", "T1w")) == [("sub-1_T2w", "sub-1_run-1_T1w", True)]


def test_equal_entities_come_first_and_each_scan_is_in_one_pair():
    names = [f"sub-1_run-{run}_{contrast}" for contrast, runs in (("T1w", (1, 2)), ("T2w", (2, 3))) for run in runs]
    assert paired(dict.fromkeys(names, FINE)) == [
        ("sub-1_run-1_T1w", "sub-1_run-3_T2w", True),
        ("sub-1_run-2_T1w", "sub-1_run-2_T2w", True),
    ]


def test_what_lies_on_one_grid_pairs_before_what_is_called_alike():
    grids = {"sub-1_acq-a_T1w": FINE, "sub-1_acq-b_T1w": COARSE, "sub-1_acq-a_T2w": COARSE, "sub-1_acq-c_T2w": FINE}
    assert paired(grids) == [
        ("sub-1_acq-a_T1w", "sub-1_acq-c_T2w", True),
        ("sub-1_acq-b_T1w", "sub-1_acq-a_T2w", True),
    ]


def test_scans_on_grids_of_their_own_pair_by_entities_then_by_name():
    grids = {"sub-1_run-1_T1w": FINE, "sub-1_run-2_T1w": COARSE, "sub-1_run-2_T2w": OTHER}
    assert paired(grids) == [("sub-1_run-2_T1w", "sub-1_run-2_T2w", False)]
    grids = {"sub-1_acq-a_T1w": FINE, "sub-1_acq-b_T1w": COARSE, "sub-1_T2w": OTHER}
    assert paired(grids) == [("sub-1_acq-a_T1w", "sub-1_T2w", False)]


def test_the_order_of_scans_changes_nothing():
    random = np.random.default_rng(0)
    names = [f"sub-1_run-{run}_{contrast}" for run in range(6) for contrast in CONTRASTS]
    grids = {name: (FINE, COARSE, OTHER)[random.integers(3)] for name in names}
    expected = paired(grids)
    assert len({name for pair in expected for name in pair[:2]}) == 2 * len(expected) == 12
    for _ in range(5):
        assert paired({names[index]: grids[names[index]] for index in random.permutation(12)}) == expected


def test_a_single_scan_of_each_contrast_pairs_whatever_it_is_called():
    """Also where a header cannot be read: reading the scan tells why."""

    def broken(one):
        raise UnfitFile(one.path, "broken", "")

    names = ["sub-1_acq-mprage_T1w", "sub-1_acq-tse_T2w"]
    assert [(one, other) for one, other, _ in paired(dict.fromkeys(names, FINE))] == [tuple(names)]
    assert [pair.difference for pair in find_pairs([scan(name) for name in names], CONTRASTS, broken)] == [""]
    several = [scan(f"sub-1_run-{run}_{name}") for run in (1, 2) for name in CONTRASTS] + [scan("sub-1_T1w")]
    assert len(find_pairs(several, CONTRASTS, broken)) == 2  # by their names


def test_sessions_and_subjects_are_kept_apart():
    scans = [scan("sub-1_T1w", "ses-1"), scan("sub-1_T2w", "ses-2"), scan("sub-2_T1w"), scan("sub-3_T2w")]
    assert find_pairs(scans, CONTRASTS, lambda one: FINE) == []
    assert find_unpaired_scans(scans, CONTRASTS, [], Path("/data")) == []


def test_several_pictures_pair_by_their_names_and_place_alone():
    """Left and right of one person on one grid: a left slice is no truth for a right one."""
    scans = [
        Scan("sub-1", "", contrast, Path("/data") / contrast / "sub-1" / side / "slice.png")
        for contrast, sides in (("T1", ("left", "right")), ("T2", ("right", "left", "top")))
        for side in sides
    ]
    pairs = find_pairs(scans, ("T1", "T2"), lambda one: FINE)
    assert [(a.path.parent.name, b.path.parent.name) for a, b, _ in pairs] == [("left", "left"), ("right", "right")]


def test_a_scan_without_a_partner_of_its_own_is_told():
    scans = [scan(name) for name in ("sub-1_run-1_T1w", "sub-1_run-2_T1w", "sub-1_T2w", "sub-2_T1w")]
    pairs = find_pairs(scans, CONTRASTS, lambda one: FINE)
    (finding,) = find_unpaired_scans(scans, CONTRASTS, pairs, Path("/data"))
    assert finding.severity == "warning"
    assert finding.problem.endswith("no partner of their own for sub-1_run-2_T1w.nii.gz")


@pytest.mark.parametrize(
    ("names", "grids", "obstacles"),
    [
        (("sub-1_T1w", "sub-1_T2w"), (FINE, FINE), {"grid": "", "space": "", "register": ""}),
        (("sub-1_T1w", "sub-1_T2w"), (FINE, COARSE), {"grid": "voxels lie", "space": "", "register": ""}),
        (
            ("sub-1_space-MNI_T1w", "sub-1_T2w"),
            (FINE, COARSE),
            {"grid": "voxels lie", "space": "two spaces (MNI and none)", "register": ""},
        ),
    ],
)
def test_what_keeps_a_pair_from_being_compared(names, grids, obstacles):
    scans = [scan(name) for name in names]
    (pair,) = find_pairs(scans, CONTRASTS, dict(zip(scans, grids)).__getitem__)
    for rule, words in obstacles.items():
        assert words in pair.why_not_comparable(rule)
        assert bool(words) == bool(pair.why_not_comparable(rule))


def test_pictures_say_nothing_of_the_scanner():
    a, b = (Scan("1", "", contrast, Path(contrast) / "1.png") for contrast in CONTRASTS)
    (pair,) = find_pairs([a, b], CONTRASTS, {a: FINE, b: COARSE}.__getitem__)
    assert all("pictures do not say" in pair.why_not_comparable(rule) for rule in ("space", "register"))
