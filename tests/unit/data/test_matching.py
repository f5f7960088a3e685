import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.matching import Matching, near, same_grid


@pytest.fixture
def volume(tmp_path):
    """Makes a volume of which only the share of head in each slice is known."""

    def make(shares: list[float]) -> CachedVolume:
        (tmp_path / "record.json").write_text(json.dumps({"shape": [len(shares), 8, 8], "foreground_share": shares}))
        return CachedVolume(Scan("sub-1", "", "T1w", Path("sub-1_T1w.nii.gz")), tmp_path)

    return make


def test_heights_run_from_the_lowest_to_the_highest_slice_that_shows_the_head(volume):
    heights = volume([0.0, 0.02, 0.03, 0.4, 0.5, 0.01, 0.3, 0.0]).relative_heights
    assert heights.tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize("shares", [[0.5], [0.0, 0.3, 0.0], [0.0, 0.0]])
def test_a_head_in_fewer_than_two_slices_has_no_height(volume, shares):
    message = r"data\.match=position: sub-1_T1w\.nii\.gz shows the head in fewer .* Set data\.match=none"
    unknown = volume(shares)
    assert np.isnan(unknown.relative_heights).all()
    slices = np.array([[0, 0]])
    with pytest.raises(ValueError, match=message):
        Matching("position", 0.1).candidates([unknown], slices, [unknown], slices)


@pytest.mark.parametrize("seed", range(20))
def test_candidates_are_those_a_comparison_of_all_pairs_finds(seed):
    random = np.random.default_rng(seed)
    heights_a, heights_b = random.random(30), random.random(random.integers(1, 25))
    tolerance = random.choice([0.0, 0.01, 0.1, 1.0])
    found = near(heights_a, heights_b, tolerance)
    for index, height in enumerate(heights_a):
        distances = np.abs(heights_b - height)
        expected = np.flatnonzero(distances <= max(tolerance, distances.min()))
        assert sorted(found.order[found.start[index] : found.stop[index]]) == expected.tolist()


def test_all_equally_near_slices_are_candidates_where_none_is_within_the_tolerance():
    heights_b = np.array([0.9, 0.2, 0.9, 0.2, 0.2])
    found = near(np.array([0.0, 0.5, 0.6, 1.0]), heights_b, 0.05)
    candidates = [set(found.order[start:stop].tolist()) for start, stop in zip(found.start, found.stop)]
    assert candidates == [{1, 3, 4}, {1, 3, 4}, {0, 2}, {0, 2}]


def test_a_draw_stays_within_its_candidates():
    found = near(np.array([0.0, 0.5, 1.0]), np.linspace(1, 0, 11), 0.12)
    random = np.random.default_rng(0)
    drawn = [{found.draw(index, random) for _ in range(100)} for index in range(3)]
    assert drawn == [{10, 9}, {6, 5, 4}, {1, 0}]


# The same subject


GRID, OTHER_GRID = np.eye(4), np.diag([1.0, 1.0, 1.01, 1.0])


@pytest.fixture
def scanned(tmp_path):
    """Makes a volume of somebody, by its file, with all slices alike unless their shares of head are told."""

    def make(path: str, shares: int | list[float], affine: np.ndarray = GRID) -> CachedVolume:
        shares = [0.5] * shares if isinstance(shares, int) else shares
        folder = tmp_path / path
        folder.mkdir(parents=True)
        record = {"shape": [len(shares), 8, 8], "foreground_share": shares}
        grid = {"source_shape": [8, 8, len(shares)], "source_affine": affine.tolist()}
        (folder / "record.json").write_text(json.dumps(record | grid))
        contrast = "T1w" if "T1w" in path else "T2w"
        session = next((part for part in Path(path).parts if part.startswith("ses-")), "")
        return CachedVolume(Scan(Path(path).parts[0], session, contrast, Path(path)), folder)

    return make


def matched(volumes_a, volumes_b, without_a=(), without_b=()):
    """Each training slice of a, (volume, slice), to those of b that may be drawn."""
    slices = []
    for volumes, without in ((volumes_a, without_a), (volumes_b, without_b)):
        every = [(number, index) for number, volume in enumerate(volumes) for index in range(volume.num_slices)]
        slices.append(np.array([position for position in every if position not in without]))
    found = Matching("subject", 0.05).candidates(volumes_a, slices[0], volumes_b, slices[1])
    assert len(found.start) == len(found.stop) == len(slices[0])
    drawn = [{tuple(slices[1][row].tolist()) for row in found.order[i:j]} for i, j in zip(found.start, found.stop)]
    random = np.random.default_rng(0)
    for index, expected in enumerate(drawn):
        assert {tuple(slices[1][found.draw(index, random)].tolist()) for _ in range(60)} == expected
    return dict(zip(map(tuple, slices[0].tolist()), drawn, strict=True))


def test_on_one_grid_b_is_the_slice_of_the_same_number_of_the_same_subject(scanned):
    """Though the order of volumes is another, and the head seems to begin elsewhere."""
    volumes_a = [scanned("sub-1/T1w.nii", 4), scanned("sub-2/T1w.nii", [0.0, 0.5, 0.5, 0.5])]
    volumes_b = [scanned("sub-3/T2w.nii", 4), scanned("sub-2/T2w.nii", 4), scanned("sub-1/T2w.nii", [0.5, 0.5, 0, 0])]
    expected = {(0, index): {(2, index)} for index in range(4)} | {(1, index): {(1, index)} for index in range(4)}
    assert matched(volumes_a, volumes_b) == expected


def test_a_slice_whose_partner_does_not_train_takes_the_nearest_of_the_subject(scanned):
    volumes = [scanned("sub-1/T1w.nii", 6)], [scanned("sub-2/T2w.nii", 6), scanned("sub-1/T2w.nii", 6)]
    found = matched(*volumes, without_a=[(0, 1)], without_b=[(1, 0), (1, 1), (1, 4)])
    assert found == {
        (0, 0): {(1, 2)},
        (0, 2): {(1, 2)},
        (0, 3): {(1, 3)},
        (0, 4): {(1, 3)},  # as near as 5; the lower one is taken
        (0, 5): {(1, 5)},
    }


def test_on_other_grids_b_is_the_slice_nearest_in_relative_height(scanned):
    """Heads of slices 1 to 5, and 0 to 8: heights in steps of a quarter and an eighth."""
    volume_a = scanned("sub-1/T1w.nii", [0.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    fine = scanned("sub-1/T2w.nii", 9)
    assert matched([volume_a], [fine], without_a=[(0, 0)]) == {(0, 1 + step): {(0, 2 * step)} for step in range(5)}
    # As many slices, but of another place.
    coarse = scanned("sub-1/run-2/T2w.nii", [0.5, 0.5, 0.5, 0.0, 0.0, 0.0], OTHER_GRID)
    found = matched([volume_a], [coarse], without_a=[(0, 0)], without_b=[(0, 3), (0, 4), (0, 5)])
    assert found == {(0, 1): {(0, 0)}, (0, 2): {(0, 0)}, (0, 3): {(0, 1)}, (0, 4): {(0, 1)}, (0, 5): {(0, 2)}}


def test_sessions_are_kept_apart(scanned):
    volumes_a = [scanned(f"sub-1/ses-{session}/T1w.nii", 2) for session in (1, 2)]
    volumes_b = [scanned(f"sub-1/ses-{session}/T2w.nii", 2) for session in (2, 1)]
    assert matched(volumes_a, volumes_b) == {
        (0, 0): {(1, 0)},
        (0, 1): {(1, 1)},
        (1, 0): {(0, 0)},
        (1, 1): {(0, 1)},
    }


def test_of_several_scans_of_a_session_the_one_beside_is_taken_or_else_any(scanned):
    volumes_a = [scanned(f"sub-1/run-{run}_T1w.nii", 2) for run in (2, 3)]
    volumes_b = [scanned(f"sub-1/run-{run}_T2w.nii", 2) for run in (1, 2)]
    assert matched(volumes_a, volumes_b) == {
        (0, 0): {(1, 0)},
        (0, 1): {(1, 1)},
        (1, 0): {(0, 0), (1, 0)},
        (1, 1): {(0, 1), (1, 1)},
    }


def test_of_several_scans_beside_none_those_on_the_same_grid_are_taken(scanned):
    volume_a = scanned("sub-1/run-1_T1w.nii", 2)
    volumes_b = [scanned("sub-1/acq-x_T2w.nii", 2, OTHER_GRID), scanned("sub-1/acq-y_T2w.nii", 2)]
    assert matched([volume_a], volumes_b) == {(0, 0): {(1, 0)}, (0, 1): {(1, 1)}}


def test_pictures_are_matched_by_their_names(scanned):
    volumes_a = [scanned(f"sub-1/T1w/{name}.png", 1) for name in ("x", "y")]
    volumes_b = [scanned("sub-1/T2w/y.png", 1, OTHER_GRID), scanned("sub-1/T2w/x.png", 1)]
    assert matched(volumes_a, volumes_b) == {(0, 0): {(1, 0)}, (1, 0): {(0, 0)}}
    with pytest.raises(ValueError, match=r"data\.match=subject: sub-1/T1w/z\.png shows the head in fewer"):
        matched([scanned("sub-1/T1w/z.png", 1)], volumes_b)


def test_whoever_has_no_partner_is_named_with_the_way_out(scanned):
    volumes_a = [scanned(f"sub-{number}/sub-{number}_T1w.nii", 2) for number in (1, 2, 3)]
    volumes_b = [scanned(f"sub-{number}/sub-{number}_T2w.nii", 2) for number in (1, 2)]
    message = (
        r"data\.match=subject: 2 of 3 T1w scans have no T2w slices of the same subject and session to train with: "
        r"sub-2_T1w\.nii, sub-3_T1w\.nii\. Set data\.allow_paired_subjects=true.*data\.match=none"
    )
    with pytest.raises(ValueError, match=message):
        matched(volumes_a, volumes_b, without_b=[(1, 0), (1, 1)])  # sub-2 has slices, but none that trains
    # Who does not train needs none.
    found = matched(volumes_a, volumes_b, without_a=[(number, index) for number in (1, 2) for index in (0, 1)])
    assert found == {(0, 0): {(0, 0)}, (0, 1): {(0, 1)}}


def test_one_grid_is_one_shape_and_one_affine(scanned):
    first = scanned("sub-1/T1w.nii", 4)
    assert same_grid(first, scanned("sub-1/T2w.nii", 4))
    assert same_grid(first, scanned("sub-2/T2w.nii", 4, nibabel.affines.from_matvec(np.eye(3), (0, 0.002, 0))))
    assert not same_grid(first, scanned("sub-3/T2w.nii", 5))
    assert not same_grid(first, scanned("sub-4/T2w.nii", 4, OTHER_GRID))


def test_an_unknown_match_is_refused():
    with pytest.raises(ValueError, match=r"data\.match: expected one of none, position, subject, got 'session'"):
        Matching("session", 0.1)
