import errno
import os
import pickle
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from mri_cyclegan.data import slice_cache
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.scaled_reading import read_scaled
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.verification.examination import examine

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


def test_a_volume_travels_to_another_process_without_its_arrays(folder, scan):
    cached = SliceCache(folder, PREPROCESSING).get(scan)
    expected = cached.slices.copy(), cached.foreground.copy(), cached.record
    message = pickle.dumps(cached)
    assert len(message) < 5000 < cached.slices.nbytes
    arrived = pickle.loads(message)
    assert isinstance(arrived, CachedVolume)
    assert arrived.scan == scan
    np.testing.assert_array_equal(arrived.slices, expected[0])
    np.testing.assert_array_equal(arrived.foreground, expected[1])
    assert arrived.record == expected[2]


# Many scans at once


@pytest.fixture
def scans(tmp_path, head, save_nifti):
    paths = [save_nifti(tmp_path / "many" / f"{number}.nii.gz", head((16, 20, 12), number)) for number in range(6)]
    return [Scan(f"sub-{path.name[0]}", "", "T1w", path) for path in paths]


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "sources" not in path.parts
    }


def test_unfit_scans_are_reported_beside_the_warnings_of_others(folder, scans, save_nifti, head):
    scans[1].path.write_bytes(b"no image")
    save_nifti(scans[2].path, np.zeros((8, 8, 8), np.float32))
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    save_nifti(scans[3].path, head((16, 20, 12)), sheared)
    for _ in range(2):  # made now, then found
        findings = SliceCache(folder, PREPROCESSING).prepare(scans, 1)
        assert [(one.severity, one.path) for one in sorted(findings)] == [
            ("error", scans[1].path),
            ("warning", scans[2].path),
            ("warning", scans[3].path),
        ]
        assert "sheared" in sorted(findings)[2].problem


def test_two_processes_make_what_one_makes(tmp_path, scans, monkeypatch):
    monkeypatch.setattr(slice_cache, "VOXELS_PER_PROCESS", 1)
    for number in (1, 2):
        assert SliceCache(tmp_path / str(number), PREPROCESSING).prepare(scans, number) == []
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert len(content(tmp_path / "1")) == 3 * len(scans)


def test_a_damaged_or_removed_entry_is_made_again_and_the_others_stay(folder, scans):
    cache = SliceCache(folder, PREPROCESSING)
    cache.prepare(scans, 1)
    before = content(folder)
    entries = [cache.get(scan).folder for scan in scans]
    with (entries[0] / "slices.npy").open("r+b") as file:
        file.truncate(1000)
    (entries[1] / "record.json").unlink()
    shutil.rmtree(entries[2])
    untouched = (entries[3] / "slices.npy").stat().st_mtime_ns
    assert cache.find(scans[0]) is cache.find(scans[1]) is cache.find(scans[2]) is None
    cache.prepare(scans, 1)
    assert content(folder) == before
    assert (entries[3] / "slices.npy").stat().st_mtime_ns == untouched


def test_a_disk_too_full_is_refused_before_anything_is_written(folder, scans, monkeypatch):
    needed = sum(PREPROCESSING.num_bytes((16, 20, 12), np.eye(4)) for _ in scans)
    usage = shutil.disk_usage(folder.parent.parent)
    for free, refused in ((needed + slice_cache.SPARE_BYTES - 1, True), (needed + slice_cache.SPARE_BYTES, False)):
        monkeypatch.setattr(slice_cache.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        if refused:
            with pytest.raises(ValueError, match=r"data\.cache_root: the slices need 0\.0 GB, but .* has 0\.2 GB free"):
                SliceCache(folder, PREPROCESSING).prepare(scans, 1)
            assert not folder.exists()
        else:
            SliceCache(folder, PREPROCESSING).prepare(scans, 1)
    monkeypatch.setattr(slice_cache.shutil, "disk_usage", lambda _: usage._replace(free=0))
    assert SliceCache(folder, PREPROCESSING).prepare(scans, 1) == []  # nothing to write


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_estimate_of_an_entrys_size_is_what_it_takes(folder, scan, plane):
    preprocessing = replace(PREPROCESSING, plane=plane)
    cached = SliceCache(folder, preprocessing).get(scan)
    volume = read_volume(scan.path)
    estimate = preprocessing.num_bytes(volume.array.shape, volume.affine)
    assert estimate == cached.slices.nbytes + cached.foreground.nbytes


def build_in_child(folder: Path, scans: list[Scan], killed_after_s: float | None = None) -> None:
    """Prepare the scans in another process, which ends by itself or is killed."""
    child = os.fork()
    if child == 0:
        SliceCache(folder, PREPROCESSING).prepare(scans, 1)
        os._exit(0)
    if killed_after_s is not None:
        time.sleep(killed_after_s)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_killed_at_any_moment_the_next_start_completes_the_same_cache(tmp_path, scans):
    """20 times SIGKILL while the cache is built, on one folder; then a start to the end."""
    start = perf_counter()
    build_in_child(tmp_path / "whole", scans)
    takes_s = perf_counter() - start
    expected = content(tmp_path / "whole")
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(20):
        build_in_child(tmp_path / "killed", scans, killed_after_s=takes_s * random.uniform(0, 2))
        kept = {name: data for name, data in content(tmp_path / "killed").items() if ".partial" not in name}
        assert kept.items() <= expected.items()
        outcomes.add(len(kept) // 3)
        for name in {name.split("/")[0] for name in kept} if len(kept) > len(expected) / 2 else ():
            shutil.rmtree(tmp_path / "killed" / name)  # so that there is something to do each time
    assert len(outcomes) > 1  # killed at different moments
    SliceCache(tmp_path / "killed", PREPROCESSING).prepare(scans, 1)
    assert content(tmp_path / "killed") == expected


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("size", [16, 24, 32], ids=["a window", "as it is", "padded"])
def test_single_slices_are_those_of_the_whole_array(tmp_path, folder, save_nifti, head, plane, size):
    """What is neither resampled nor padded once lay transposed in the file, and single slices were scrambled."""
    path = save_nifti(tmp_path / "sub-01_T1w.nii.gz", head((24, 24, 24)))
    cached = SliceCache(folder, Preprocessing(plane, 1.0, size)).get(Scan("sub-01", "", "T1w", path))
    slices, foreground = cached.slices, cached.foreground
    assert slices.shape == foreground.shape == (24, size, size)
    np.testing.assert_allclose(cached.record["foreground_share"], foreground.mean(axis=(1, 2)))
    for index in range(24):
        np.testing.assert_array_equal(cached.stack(index, 0)[0], slices[index])
        np.testing.assert_array_equal(cached.foreground_slice(index), foreground[index])


def test_what_is_not_certain_about_the_head_is_told_by_the_cache_as_by_verify(folder, scans, save_nifti, head):
    array = head((30, 34, 28))
    array[3, 4, 5] = 1e6
    save_nifti(scans[0].path, np.pad(array, 3, constant_values=-1024))
    for _ in range(2):  # made now, then found
        findings = SliceCache(folder, PREPROCESSING).prepare(scans[:1], 1)
        padding, stray = [finding.problem for finding in findings]
        assert padding.endswith("areas or whole slices have the value -1024")
        assert stray.startswith("1 voxel lies far beyond all others, up to 1e+06")
    assert findings == examine(scans[0], ReadOptions()).findings
    assert read_scaled(scans[0].path)[1] == findings
