import json
import pickle
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datasets import PairedSlices, UnpairedSlices
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.matching import Matching


@pytest.fixture
def volume(tmp_path):
    """Makes volumes of random slices: (volume, slices, foreground)."""

    def make(number: int, num_slices: int = 5, height: int = 6, width: int = 9):
        random = np.random.default_rng(number)
        slices = random.uniform(-1, 1, (num_slices, height, width)).astype(np.float32)
        foreground = slices > 0
        folder = tmp_path / str(number)
        folder.mkdir()
        np.save(folder / "slices.npy", slices)
        np.save(folder / "foreground.npy", foreground)
        shares = foreground.mean(axis=(1, 2)).tolist()
        (folder / "record.json").write_text(json.dumps({"shape": slices.shape, "foreground_share": shares}))
        return CachedVolume(Scan(f"sub-{number}", "", "T1w", Path("s.nii")), folder), slices, foreground

    return make


@pytest.fixture
def few_descriptors():
    """At most a hundred files open at a time."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_slices_are_those_of_the_whole_array(volume):
    cached, slices, foreground = volume(0)
    np.testing.assert_array_equal(cached.slices, slices)
    np.testing.assert_array_equal(cached.foreground, foreground)
    assert cached.num_slices == 5
    for index in range(5):
        np.testing.assert_array_equal(cached.stack(index, 0), slices[index : index + 1])
        np.testing.assert_array_equal(cached.foreground_slice(index), foreground[index])
    assert cached.stack(0, 0).dtype == np.float32
    assert cached.foreground_slice(0).dtype == bool


def test_a_window_of_the_field_of_view_is_read(volume):
    """The scan's own, or that of another one on the same grid; its affine tells where it lies."""
    cached, slices, foreground = volume(0)
    affine = np.diag([3.0, 2.0, 2.0, 1.0])
    content = cached.record | {"shape": [5, 4, 4], "window": [2, 1], "affine": affine.tolist()}
    (cached.folder / "record.json").write_text(json.dumps(content))
    own = CachedVolume(cached.scan, cached.folder)
    other = replace(own, window=(0, 4)).with_window_of(replace(own, window=(1, 5)))
    for seen, (row, column) in ((own, (2, 1)), (other, (1, 5))):
        part = (slice(None), slice(row, row + 4), slice(column, column + 4))
        assert seen.is_complete()
        np.testing.assert_array_equal(seen.slices, slices[part])
        np.testing.assert_array_equal(seen.foreground, foreground[part])
        np.testing.assert_array_equal(seen.stack(3, 1), slices[part][2:5])
        np.testing.assert_array_equal(seen.foreground_slice(4), foreground[part][4])
        np.testing.assert_array_equal(
            seen.record["affine"] @ np.array([1, 0, 0, 1]), [3, 2 * row - 4, 2 * column - 2, 1]
        )


@pytest.mark.parametrize("num_adjacent", [1, 2, 7])
@pytest.mark.parametrize("num_slices", [1, 2, 5])
def test_neighbors_beyond_the_ends_are_the_ends(volume, num_slices, num_adjacent):
    cached, slices, _ = volume(0, num_slices)
    padded = np.pad(slices, ((num_adjacent, num_adjacent), (0, 0), (0, 0)), mode="edge")
    for index in range(num_slices):
        expected = padded[index : index + 2 * num_adjacent + 1]
        np.testing.assert_array_equal(cached.stack(index, num_adjacent), expected)


def test_what_was_read_belongs_to_the_caller(volume):
    cached, slices, foreground = volume(0)
    cached.stack(2, 1)[:] = 9
    cached.slices[:] = 9
    cached.foreground_slice(2)[:] = True
    np.testing.assert_array_equal(cached.stack(2, 1), slices[1:4])
    np.testing.assert_array_equal(cached.foreground_slice(2), foreground[2])


def test_a_volume_travels_to_another_process(volume):
    cached, slices, _ = volume(0)
    cached.stack(1, 0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cached)).stack(3, 0)[0], slices[3])


def open_files() -> set[str]:
    links = {str(link.resolve()) for link in Path("/proc/self/fd").iterdir()}
    return links | set(Path("/proc/self/maps").read_text().split())


def test_nothing_stays_open_or_mapped(volume):
    cached, _, _ = volume(0)
    whole = cached.slices, cached.foreground
    parts = cached.stack(1, 1), cached.foreground_slice(1), cached.record
    assert not any("slices.npy" in name or "foreground.npy" in name for name in open_files())
    assert len(whole) + len(parts) == 5


def test_more_volumes_than_a_process_may_open_files(volume, few_descriptors):
    made = [volume(number) for number in range(300)]
    volumes = [cached for cached, _, _ in made]
    data = UnpairedSlices(volumes[:150], volumes[150:], 0.0, (0, 1), Matching("position", 0.1), 1, None, seed=0)
    for index in range(len(data)):
        number, slice_index = data.slices_a[index]
        np.testing.assert_array_equal(data[0, index]["a"][1], made[number][1][slice_index])
    pairs = PairedSlices(list(zip(volumes[:150], volumes[150:])), 0)
    for index in range(0, len(pairs), 5):
        np.testing.assert_array_equal(pairs[index]["foreground_b"][0], made[150 + index // 5][2][0])
    assert all(np.array_equal(cached.slices, slices) for cached, slices, _ in made)
