from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.verification.examination import NORMAL_AXIS, NUM_HEIGHTS, ScanExamination, ScanMeasurements
from mri_cyclegan.verification.fingerprint import _auc, compare_framing, fingerprint, propose

FLAT = (0.5,) * NUM_HEIGHTS


def scan_facts(shape=(160, 200, 160), spacing=(1.0, 1.0, 1.0), low=(-70, -90, -70), high=(70, 90, 70), profile=FLAT):
    return ScanMeasurements(
        shape=shape,
        spacing_mm=spacing,
        orientation="RAS",
        canonical_shape=shape,
        canonical_spacing_mm=spacing,
        field_of_view_mm=tuple(size * mm for size, mm in zip(shape, spacing)),
        head_low_mm=low,
        head_high_mm=high,
        head_is_cut=(False, False, True),
        percentiles=(0, 1, 2, 3, 4),
        histogram=(1,),
        intensity_range=(0, 4),
        foreground_profile=dict.fromkeys(NORMAL_AXIS, profile),
        affine=np.eye(4).tolist(),
        voxel_hash="",
    )


@pytest.mark.parametrize(
    ("spacings", "plane"),
    [
        ([(1, 1, 1)], "axial"),
        ([(0.9, 0.9, 3)], "axial"),
        ([(3, 0.9, 0.9)], "sagittal"),
        ([(0.9, 4, 0.9)], "coronal"),
        ([(1.2, 1, 1)], "axial"),
        ([(5, 1, 1), (5, 1, 1), (1, 1, 5)], "sagittal"),
    ],
)
def test_the_plane_is_across_the_thickest_slices(spacings, plane):
    facts = [scan_facts(spacing=spacing) for spacing in spacings]
    assert propose([facts, facts[:1]], pictures=False).plane == plane


def test_single_slices_vote_for_their_plane():
    facts = [scan_facts(shape=(64, 1, 64), spacing=(4, 4, 4))]
    assert propose([facts, facts], pictures=False).plane == "coronal"


def test_the_coarser_contrast_sets_the_spacing_and_nothing_is_enlarged():
    fine, coarse = [scan_facts(spacing=(0.6, 0.6, 3))] * 3, [scan_facts(spacing=(0.9, 0.94, 3))] * 2
    assert propose([fine, coarse], pictures=False).spacing_mm == 0.94


@pytest.mark.parametrize(
    ("low", "high", "spacing", "size", "depth"),
    [
        ((-70, -90, -70), (70, 90, 70), 1.0, 192, 6),  # 180 mm
        ((-70, -20, -70), (70, 168, 70), 1.0, 192, 6),  # off the middle: 188 mm all the same
        ((-70, -100, -70), (70, 100, 70), 1.0, 224, 5),
        ((-70, -90, -70), (70, 90, 70), 2.0, 96, 5),
        ((-70, -128, -70), (70, 128, 70), 1.0, 256, 8),
        ((-70, -128, -70), (70, 128, 70), 0.1, 512, 8),
        ((-7, -9, -7), (7, 9, 7), 1.0, 32, 5),
    ],
)
def test_every_head_fits_into_the_image_and_the_network_can_halve_it(low, high, spacing, size, depth):
    facts = [scan_facts(spacing=(spacing,) * 3), scan_facts(spacing=(spacing,) * 3, low=low, high=high)]
    small = [replace(one, head_low_mm=(-1, -1, -1), head_high_mm=(1, 1, 1)) for one in facts[:1]]
    proposal = propose([[facts[1]], small], pictures=False)
    assert (proposal.image_size, proposal.depth) == (size, depth)
    assert size % 2**depth == 0


def test_pictures_have_no_spacing_and_fit_whole():
    facts = [scan_facts(shape=(181, 217, 1))]
    proposal = propose([facts, facts], pictures=True)
    assert (proposal.spacing_mm, proposal.image_size) == (None, 224)
    assert "data.spacing_mm=null" in proposal.overrides()


def test_slices_that_show_little_in_either_contrast_are_left_out():
    profile_a = (0.05,) * 4 + (0.5,) * (NUM_HEIGHTS - 4)
    profile_b = (0.5,) * (NUM_HEIGHTS - 2) + (0.01,) * 2
    proposal = propose([[scan_facts(profile=profile_a)], [scan_facts(profile=profile_b)]], pictures=False)
    assert proposal.slice_range == (0.2, 0.9)
    assert "data.slice_range=[0.2,0.9]" in proposal.overrides()
    assert propose([[scan_facts()], [scan_facts()]], pictures=False).slice_range == (0, 1)


def test_heads_of_another_extent_are_told_as_framing():
    whole = [scan_facts(low=(-70, -90, -100 - n), high=(70, 90, 70)) for n in range(6)]
    short = [scan_facts(low=(-70, -90, -50 - n), high=(70, 90, 70)) for n in range(6)]
    (finding,) = compare_framing(Path("/data"), ("T1w", "T2w"), [whole, short])
    assert finding.severity == "warning"
    assert "inferior-superior extent is 172 mm in T1w, 122 mm in T2w" in finding.problem
    assert compare_framing(Path("/data"), ("T1w", "T2w"), [whole, whole]) == []
    mixed = whole[:3] + short[:3]
    assert compare_framing(Path("/data"), ("T1w", "T2w"), [mixed, mixed[::-1]]) == []
    overlapping = [[*whole[:4], *short[:2]], [*short[:4], *whole[:2]]]  # the medians differ, the ranges overlap
    assert compare_framing(Path("/data"), ("T1w", "T2w"), overlapping) == []
    assert len(compare_framing(Path("/data"), ("T1w", "T2w"), [whole[:1], short[:1]])) == 1


def test_single_slices_are_not_framed_along_their_normal():
    one, other = scan_facts(shape=(64, 64, 1), low=(-9, -9, -1)), scan_facts(shape=(64, 64, 1), low=(-9, -9, -50))
    assert compare_framing(Path("/data"), ("T1w", "T2w"), [[one], [other]]) == []


def test_the_area_under_the_curve_is_that_of_all_pairs():
    random = np.random.default_rng(0)
    one, other = random.normal(0, 1, 40).round(1), random.normal(1, 1, 30).round(1)
    pairs = np.subtract.outer(one, other)
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert _auc(one, other) == pytest.approx(max(expected, 1 - expected))


def test_a_fingerprint_counts_and_takes_medians_of_fit_scans_of_one_contrast():
    def examined(subject, contrast, facts):
        return ScanExamination(Scan(subject, "", contrast, Path(f"{subject}_{contrast}.nii")), facts=facts)

    scans = [
        examined("sub-1", "T1w", scan_facts()),
        examined("sub-1", "T1w", scan_facts(spacing=(1, 1, 3))),
        examined("sub-2", "T1w", scan_facts(high=(80, 90, 70))),
        examined("sub-3", "T1w", None),
        examined("sub-4", "T2w", scan_facts(shape=(1, 1, 1))),
    ]
    one = fingerprint(scans, "T1w")
    assert (one.num_scans, one.num_subjects) == (3, 2)
    assert one.shapes == {"160 × 200 × 160": 3}
    assert one.spacings_mm == {"1 × 1 × 1": 2, "1 × 1 × 3": 1}
    assert one.head_mm == (140, 180, 140)
    assert one.num_cut == (0, 0, 3)
