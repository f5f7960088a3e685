"""Slices kept by the device are those that would have been read from disk."""

import pytest
import torch

import mri_cyclegan.data.device_slices as device_slices
from mri_cyclegan.data.cached_volume import CachedVolume
from tests.unit.data.test_datamodule import PHANTOM, data_module, ready


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    PHANTOM.write(root)
    return PHANTOM.folder(root), tmp_path_factory.mktemp("cache")


def batches(folders, epochs=(0, 1), **changes):
    data = ready(*folders, **changes)
    loader = data.train_dataloader()
    found = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)
        found += [data.on_after_batch_transfer(batch, 0) for batch in loader]
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_adjacent_slices": 1, "num_workers": 2},
        {"augmentation": None},
        {"match": "position"},
    ],
)
def test_batches_are_the_same(folders, settings):
    kept, read = (batches(folders, device_cache=mode, **settings) for mode in (True, False))
    assert len(kept) == len(read) > 2
    for one, other in zip(kept, read, strict=True):
        assert one.keys() == other.keys() == {"a", "b"}
        assert all(torch.equal(one[name], other[name]) for name in "ab")


def test_nothing_is_read_from_disk_any_more(folders, monkeypatch):
    data = ready(*folders, device_cache=True)
    loader = data.train_dataloader()

    def read(*_):
        raise AssertionError("read from disk")

    monkeypatch.setattr(CachedVolume, "stack", read)
    assert len([data.on_after_batch_transfer(batch, 0) for batch in loader]) > 2


@pytest.mark.parametrize(
    ("mode", "device", "free_times", "expected"),
    [
        ("auto", "cpu", 100, False),
        ("auto", "cuda", 4.01, True),
        ("auto", "cuda", 3.99, False),
        (True, "cuda", 0.1, True),
        (True, "cpu", 0.1, True),
        (False, "cuda", 100, False),
    ],
)
def test_where_a_device_keeps_them(folders, mode, device, free_times, expected, monkeypatch):
    slices = ready(*folders).train_slices
    kept = device_slices.DeviceSlices(slices, torch.device("cpu")).images
    assert slices.num_bytes == sum(images.nbytes for images in kept.values())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free_times * slices.num_bytes), 0))
    assert device_slices.should_cache_on_device(slices, mode, torch.device(device)) == expected


def test_an_unknown_mode_is_refused(folders):
    with pytest.raises(ValueError, match="data.device_cache: expected auto, true or false, got 'gpu'"):
        data_module(*folders, device_cache="gpu")
