import json
from pathlib import Path

import numpy as np
import pytest

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.matching import Matching, near


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
