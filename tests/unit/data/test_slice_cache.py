import errno
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_cyclegan.data import slice_cache
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions

PREPROCESSING = Preprocessing("axial", 1.0, 24)


@pytest.fixture
def scan(tmp_path, head, save_nifti):
    path = save_nifti(tmp_path / "scans" / "sub 01 #é.nii.gz", head((16, 20, 12)))
    return Scan("sub-01", "", "T1w", path)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "slices"


@pytest.fixture
def no_reading(monkeypatch):
    def refuse(*_):
        raise AssertionError("the file was read again")

    return lambda: monkeypatch.setattr(slice_cache, "read_volume", refuse)


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "sources"} if folder.exists() else set()


def test_an_entry_holds_what_preprocessing_gives(folder, scan):
    prepared = PREPROCESSING(read_volume(scan.path))
    cached = SliceCache(folder, PREPROCESSING).get(scan)
    assert cached.scan == scan
    assert cached.slices.dtype == np.float32
    assert cached.foreground.dtype == bool
    np.testing.assert_array_equal(cached.slices, prepared.slices)
    np.testing.assert_array_equal(cached.foreground, prepared.foreground)
    shares = [float(mask.sum()) / mask.size for mask in prepared.foreground]
    assert cached.record.pop("foreground_share") == pytest.approx(shares)
    for key, value in prepared.record.items():
        assert cached.record[key] == value
    assert max(shares) > 0.2


def test_a_hit_gives_the_same_arrays_without_reading_again(folder, scan, no_reading):
    first = SliceCache(folder, PREPROCESSING).get(scan)
    no_reading()
    again = SliceCache(folder, PREPROCESSING).get(scan)
    assert again.folder == first.folder
    np.testing.assert_array_equal(again.slices, first.slices)
    np.testing.assert_array_equal(again.foreground, first.foreground)
    assert again.record == first.record


def test_changed_content_gives_a_new_entry(folder, scan, head, save_nifti):
    old = SliceCache(folder, PREPROCESSING).get(scan)
    before = old.slices.copy()
    save_nifti(scan.path, head((16, 20, 12), seed=1))
    new = SliceCache(folder, PREPROCESSING).get(scan)
    assert new.folder != old.folder
    np.testing.assert_array_equal(new.slices, PREPROCESSING(read_volume(scan.path)).slices)
    np.testing.assert_array_equal(old.slices, before)
    assert not np.array_equal(new.slices, before)


@pytest.mark.parametrize(
    ("change", "volume_index"),
    [
        ({"plane": "coronal"}, None),
        ({"spacing_mm": 1.5}, None),
        ({"spacing_mm": None}, None),
        ({"image_size": 32}, None),
    ]
    + [({}, 0)],
)
def test_a_changed_setting_gives_a_new_entry(folder, scan, change, volume_index):
    old = SliceCache(folder, PREPROCESSING).get(scan)
    changed = replace(PREPROCESSING, **change)
    new = SliceCache(folder, changed, ReadOptions(volume_index=volume_index)).get(scan)
    assert new.folder != old.folder
    np.testing.assert_array_equal(new.slices, changed(read_volume(scan.path)).slices)


@pytest.mark.parametrize(("name", "value"), [("PERCENTILES", (5, 95)), ("VERSION", -1)])
def test_a_change_of_the_code_gives_a_new_entry(folder, scan, monkeypatch, name, value):
    old = SliceCache(folder, PREPROCESSING).get(scan)
    monkeypatch.setattr(slice_cache, name, value)
    assert SliceCache(folder, PREPROCESSING).get(scan).folder != old.folder


def test_each_volume_of_a_4d_file_has_its_own_entry(tmp_path, folder, head, save_nifti):
    array = np.stack([head((16, 20, 12), seed) for seed in range(2)], axis=-1)
    scan = Scan("sub-01", "", "T1w", save_nifti(tmp_path / "scan.nii", array))
    first, second = (SliceCache(folder, PREPROCESSING, ReadOptions(volume_index=index)).get(scan) for index in range(2))
    assert first.folder != second.folder
    assert not np.array_equal(first.slices, second.slices)


def test_the_same_content_under_another_name_shares_the_entry(tmp_path, folder, scan, no_reading):
    first = SliceCache(folder, PREPROCESSING).get(scan)
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(scan.path.read_bytes())
    no_reading()
    second = SliceCache(folder, PREPROCESSING).get(Scan("sub-02", "", "T1w", copy))
    assert second.folder == first.folder
    assert second.scan.subject == "sub-02"


@pytest.mark.parametrize("failing", ["slices.npy", "foreground.npy"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(errno.ENOSPC, "No space left on device"), ValueError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_failure_leaves_nothing_and_the_next_try_succeeds(folder, scan, monkeypatch, failing, error, raised):
    save = np.save

    def fail(path, array):
        save(path, array)
        if Path(path).name == failing:
            raise error

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", fail)
        with pytest.raises(raised):
            SliceCache(folder, PREPROCESSING).get(scan)
    assert entries(folder) == set()
    cached = SliceCache(folder, PREPROCESSING).get(scan)
    assert entries(folder) == {cached.folder.name}
    assert len(cached.slices) == 12


def test_a_process_that_was_overtaken_takes_the_other_ones_entry(folder, scan, monkeypatch):
    def overtaken(path, options):
        monkeypatch.setattr(slice_cache, "read_volume", read_volume)
        SliceCache(folder, PREPROCESSING).get(scan)
        return read_volume(path, options)

    monkeypatch.setattr(slice_cache, "read_volume", overtaken)
    cached = SliceCache(folder, PREPROCESSING).get(scan)
    assert entries(folder) == {cached.folder.name}
    np.testing.assert_array_equal(cached.slices, PREPROCESSING(read_volume(scan.path)).slices)


@pytest.mark.parametrize("array", [np.zeros((8, 8, 8), np.float32), np.full((8, 8, 8), np.nan, np.float32)])
def test_an_unfit_file_is_refused_by_name_and_leaves_no_entry(tmp_path, folder, save_nifti, array):
    path = save_nifti(tmp_path / "scan.nii.gz", array)
    with pytest.raises(ValueError) as caught:
        SliceCache(folder, PREPROCESSING).get(Scan("sub-01", "", "T1w", path))
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1
    assert entries(folder) == set()


def test_a_missing_file_is_refused_by_name(tmp_path, folder):
    path = tmp_path / "gone.nii.gz"
    with pytest.raises(ValueError, match=f"^{path}: cannot be read"):
        SliceCache(folder, PREPROCESSING).get(Scan("sub-01", "", "T1w", path))


def test_slices_are_mapped_from_disk_and_cannot_be_changed(folder, scan):
    cached = SliceCache(folder, PREPROCESSING).get(scan)
    for array in (cached.slices, cached.foreground):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_volume_travels_to_another_process_without_its_arrays(folder, scan):
    cached = SliceCache(folder, PREPROCESSING).get(scan)
    expected = cached.slices.copy(), cached.foreground.copy(), cached.record
    message = pickle.dumps(cached)
    assert len(message) < 2000 < cached.slices.nbytes
    arrived = pickle.loads(message)
    assert isinstance(arrived, CachedVolume)
    assert arrived.scan == scan
    np.testing.assert_array_equal(arrived.slices, expected[0])
    np.testing.assert_array_equal(arrived.foreground, expected[1])
    assert arrived.record == expected[2]
