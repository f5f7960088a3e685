import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.transforms import RandGaussianNoise
from torch.utils.data import DataLoader

from mri_cyclegan.data.augmentation import Augmentation
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datasets import EpochSampler, PairedSlices, UnpairedSlices, training_loader
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.matching import Matching


@pytest.fixture
def volume(tmp_path):
    """Makes volumes of constant slices, each of a value of its own: (100 · number + slice) / 1000."""

    def make(number: int, contrast: str, num_slices: int, shares: list[float] | None = None) -> CachedVolume:
        folder = tmp_path / f"{contrast}-{number}"
        folder.mkdir()
        values = (100 * number + np.arange(num_slices)) / 1000
        shares = [0.5] * num_slices if shares is None else shares
        np.save(folder / "slices.npy", np.broadcast_to(values[:, None, None], (num_slices, 8, 8)).astype(np.float32))
        np.save(folder / "foreground.npy", np.arange(64).reshape(8, 8)[None] < 64 * np.array(shares)[:, None, None])
        (folder / "record.json").write_text(json.dumps({"shape": [num_slices, 8, 8], "foreground_share": shares}))
        return CachedVolume(Scan(f"sub-{contrast}{number}", "", contrast, Path(f"{number}.nii")), folder)

    return make


@pytest.fixture
def textured(tmp_path):
    """Volumes a and b that hold one picture again and again, so that only augmentation tells items apart."""
    ramp = np.linspace(-1, 1, 16, dtype=np.float32)
    pictures = np.broadcast_to(np.minimum.outer(ramp, ramp[::-1]), (12, 16, 16))
    volumes = []
    for contrast in ("T1w", "T2w"):
        folder = tmp_path / contrast
        folder.mkdir()
        np.save(folder / "slices.npy", pictures)
        np.save(folder / "foreground.npy", pictures > -1)
        (folder / "record.json").write_text(json.dumps({"shape": pictures.shape, "foreground_share": [0.9] * 12}))
        volumes.append(CachedVolume(Scan("s", "", contrast, Path("s.nii")), folder))
    return volumes


def code(image: torch.Tensor) -> int:
    """Which slice of ``volume`` an image is: 100 · number + slice."""
    assert image.shape == (1, 8, 8)
    assert (image == image[0, 0, 0]).all()
    return round(1000 * float(image[0, 0, 0]))


def codes(data: UnpairedSlices, epoch: int) -> list[tuple[int, int]]:
    items = [data[epoch, index] for index in range(len(data))]
    return [(code(item["a"]), code(item["b"])) for item in items]


AUGMENTATION = Augmentation(rotation_degrees=8, shift=0.05, scale=0.1, flip=True, brightness=0.1, contrast=0.1)


def unpaired(volumes_a, volumes_b, kind=UnpairedSlices, **settings) -> UnpairedSlices:
    off = {
        "min_foreground": 0.0,
        "slice_range": (0.0, 1.0),
        "matching": Matching("none", 0.05),
        "num_adjacent": 0,
        "augmentation": None,
        "seed": 0,
    }
    return kind(volumes_a, volumes_b, **off | settings)


# UnpairedSlices


def test_b_is_drawn_anew_each_epoch_and_not_matched_to_a(volume):
    data = unpaired([volume(1, "T1w", 30)], [volume(1, "T2w", 30)])
    first, second = codes(data, 0), codes(data, 1)
    assert [a for a, _ in first] == [a for a, _ in second] == list(range(100, 130))
    # Index-matched pairs would agree 30 times, a random draw once in 30.
    assert sum(a == b for a, b in first) < 8
    assert sum(one == other for one, other in zip(first, second, strict=True)) < 8
    # Nor is b a shuffled or shifted list: a draw with replacement repeats some and misses some.
    assert len({b for _, b in first}) < 30


def test_every_b_slice_is_drawn_about_equally_often(volume):
    data = unpaired([volume(1, "T1w", 30)], [volume(1, "T2w", 3), volume(2, "T2w", 2)])
    counts = Counter(b for epoch in range(10) for _, b in codes(data, epoch))
    assert set(counts) == {100, 101, 102, 200, 201}
    # 300 draws, 60 expected of each, four standard deviations of a binomial count.
    assert all(abs(count - 60) < 4 * (300 * 0.2 * 0.8) ** 0.5 for count in counts.values())


@pytest.mark.parametrize(("num_a", "num_b"), [(5, 12), (12, 5)])
def test_an_epoch_is_as_long_as_the_contrast_with_more_slices(volume, num_a, num_b):
    data = unpaired([volume(1, "T1w", num_a)], [volume(1, "T2w", num_b)])
    assert len(data) == 12
    counts = Counter(a for a, _ in codes(data, 0))
    assert set(counts) == set(range(100, 100 + num_a))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_slices_of_all_volumes_of_a_contrast_are_shown(volume):
    data = unpaired([volume(1, "T1w", 3), volume(2, "T1w", 4)], [volume(1, "T2w", 2)])
    assert [a for a, _ in codes(data, 0)] == [100, 101, 102, 200, 201, 202, 203]


def test_an_item_follows_from_seed_epoch_and_index_alone(textured):
    def item(seed, epoch, index):
        return unpaired(textured[:1], textured[1:], augmentation=AUGMENTATION, seed=seed)[epoch, index]

    torch.manual_seed(0)
    expected = item(3, 5, 7)
    assert expected["changes"].shape == (2, 8)
    data = unpaired(textured[:1], textured[1:], augmentation=AUGMENTATION, seed=3)
    for key in [(5, 6), (0, 7), (5, 8)]:
        data[key]
    torch.manual_seed(1)
    assert all(torch.equal(data[5, 7][name], expected[name]) for name in ("a", "b", "changes"))
    for other in (item(4, 5, 7), item(3, 6, 7), item(3, 5, 8)):
        assert not (other["changes"] == expected["changes"])[:, 1:].any()
    assert not (expected["changes"][0] == expected["changes"][1])[1:].any()


def test_the_draws_of_b_without_a_match_are_those_of_version_0_1(volume):
    """Slices drawn before there was a choice: equal seeds still train on equal pairs, augmented or not."""
    volumes = [volume(1, "T1w", 6), volume(2, "T1w", 3)], [volume(1, "T2w", 20), volume(2, "T2w", 7)]
    golden = {
        0: [201, 107, 206, 107, 115, 119, 100, 118, 201, 110],
        5: [100, 114, 101, 102, 205, 102, 107, 116, 105, 203],
    }
    for augmentation in (None, AUGMENTATION):
        data = unpaired(*volumes, seed=3, augmentation=augmentation)
        for epoch, expected in golden.items():
            items = [data[epoch, index] for index in range(10)]
            assert [code(item["a"]) for item in items] == [100, 101, 102, 103, 104, 105, 200, 201, 202, 100]
            assert [code(item["b"]) for item in items] == expected


def test_the_slices_on_disk_are_not_changed_by_a_caller(volume):
    data = unpaired([volume(1, "T1w", 3)], [volume(1, "T2w", 3)])
    data[0, 1]["a"].fill_(9)
    assert code(data[0, 1]["a"]) == 101


def test_slices_with_too_little_foreground_do_not_train(volume):
    volumes_a = [volume(1, "T1w", 4, [0.0, 0.04, 0.05, 0.9]), volume(2, "T1w", 2, [0.049, 0.3])]
    data = unpaired(volumes_a, [volume(1, "T2w", 3, [0.2, 0.0, 0.1])], min_foreground=0.05)
    assert [a for a, _ in codes(data, 0)] == [102, 103, 201]
    assert {b for epoch in range(9) for _, b in codes(data, epoch)} == {100, 102}


@pytest.mark.parametrize(
    ("slice_range", "expected"),
    [((0, 1), [100, 101, 102, 103, 104, 105]), ((0.25, 0.75), [102, 103, 104]), ((0.5, 1), [103, 104, 105])],
)
def test_slices_outside_the_range_of_heights_do_not_train(volume, slice_range, expected):
    shown = [0.01, 0.5, 0.5, 0.5, 0.5, 0.5]  # heights 0 (before the head), 0, 0.25, 0.5, 0.75, 1
    single = volume(2, "T1w", 1, [0.5])  # nobody knows its height
    data = unpaired([volume(1, "T1w", 6, shown), single], [volume(1, "T2w", 1, [0.5])], slice_range=slice_range)
    assert sorted(a for a, _ in codes(data, 0)) == [*expected, 200]


@pytest.mark.parametrize("empty", ["T1w", "T2w"])
def test_a_contrast_without_foreground_is_refused_by_the_key(volume, empty):
    volumes = [volume(1, name, 2, [0.04, 0.02] if name == empty else [0.5, 0.5]) for name in ("T1w", "T2w")]
    with pytest.raises(
        ValueError, match=rf"data\.min_foreground=0\.05 and data\.slice_range=\[0\.0, 1\.0\]: no {empty} slice"
    ):
        unpaired(volumes[:1], volumes[1:], min_foreground=0.05)


# Matched positions


def test_matched_slices_lie_at_the_same_height_of_other_heads(volume):
    """Heads of different lengths, with empty slices below and above."""
    volumes_a = [volume(1, "T1w", 46, [0.0] * 3 + [0.5] * 41 + [0.0] * 2)]
    volumes_b = [volume(1, "T2w", 21), volume(2, "T2w", 85, [0.01] * 4 + [0.5] * 81)]
    height_of_a = {100 + index: (index - 3) / 40 for index in range(3, 44)}
    height_of_b = {100 + index: index / 20 for index in range(21)}
    height_of_b |= {200 + index: (index - 4) / 80 for index in range(4, 85)}
    settings = {"min_foreground": 0.05, "augmentation": None}
    data = unpaired(volumes_a, volumes_b, matching=Matching("position", 0.06), **settings)
    drawn = [pair for epoch in range(40) for pair in codes(data, epoch)]
    assert all(abs(height_of_a[a] - height_of_b[b]) <= 0.06 + 1e-9 for a, b in drawn)
    assert {a for a, _ in drawn} == set(height_of_a)
    assert {b for _, b in drawn} == set(height_of_b), "every slice of b is drawn"
    by_chance = unpaired(volumes_a, volumes_b, **settings)
    far = [abs(height_of_a[a] - height_of_b[b]) > 0.06 for a, b in codes(by_chance, 0)]
    assert sum(far) > 0.7 * len(far)


def test_all_matching_slices_are_equally_likely(volume):
    volumes_b = [volume(number, "T2w", 11) for number in (1, 2, 3)]
    data = unpaired([volume(1, "T1w", 3)], volumes_b, matching=Matching("position", 0.11))
    counts = Counter(code(data[epoch, 1]["b"]) for epoch in range(600))
    assert set(counts) == {100 * number + index for number in (1, 2, 3) for index in (4, 5, 6)}
    # 600 draws among 9, four standard deviations of a binomial count.
    assert all(abs(count - 600 / 9) < 4 * (600 / 9 * 8 / 9) ** 0.5 for count in counts.values())


def test_matched_draws_follow_from_seed_epoch_and_index_alone(volume):
    volumes = [volume(1, "T1w", 9)], [volume(1, "T2w", 40)]

    def pairs(seed, epoch):
        return codes(unpaired(*volumes, seed=seed, matching=Matching("position", 0.3)), epoch)

    assert pairs(0, 1) == pairs(0, 1)
    assert pairs(0, 1) != pairs(0, 2)
    assert pairs(0, 1) != pairs(1, 1)


# The same subject


def of_one_subject(volume, num_a, num_b, augmentation=None):
    volumes = [volume(1, contrast, count) for contrast, count in (("T1w", num_a), ("T2w", num_b))]
    for number, one in enumerate(volumes):
        record = one.record | {"source_shape": one.record["shape"], "source_affine": np.eye(4).tolist()}
        (one.folder / "record.json").write_text(json.dumps(record))
        volumes[number] = CachedVolume(replace(one.scan, subject="sub-1"), one.folder)
    return unpaired(volumes[:1], volumes[1:], matching=Matching("subject", 0.05), augmentation=augmentation)


@pytest.mark.parametrize(
    ("num_a", "num_b", "expected"),
    [
        (5, 5, [(100, 100), (101, 101), (102, 102), (103, 103), (104, 104)]),
        (2, 5, [(100, 100), (101, 104), (100, 100), (101, 104), (100, 100)]),  # heights 0 and 1
        (5, 3, [(100, 100), (101, {100, 101}), (102, 101), (103, {101, 102}), (104, 102)]),
    ],
)
def test_slices_of_one_subject_stand_beside_each_other_whatever_their_numbers(volume, num_a, num_b, expected):
    found = codes(of_one_subject(volume, num_a, num_b), epoch=3)
    assert [a for a, _ in found] == [a for a, _ in expected]
    assert all(
        b in allowed if isinstance(allowed, set) else b == allowed for (_, b), (_, allowed) in zip(found, expected)
    )


def test_slices_of_one_subject_are_moved_alike_and_those_of_two_are_not(volume):
    alike = of_one_subject(volume, 5, 5, AUGMENTATION)
    apart = unpaired(alike.volumes_a, alike.volumes_b, augmentation=AUGMENTATION)
    for index in range(5):
        changes, free = alike[2, index]["changes"], apart[2, index]["changes"]
        assert torch.equal(changes[0, :6], changes[1, :6])
        assert (changes[0, 6:] != changes[1, 6:]).all()
        assert (free[0, 1:] != free[1, 1:]).all()
    # One picture under both names stays one where only geometry changes.
    moving = Augmentation(rotation_degrees=8, shift=0.05, scale=0.1, flip=True, brightness=0, contrast=0)
    alike.augmentation, picture = moving, torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    moved = moving.of_batch({"a": picture, "b": picture, "changes": alike[0, 1]["changes"][None]})
    assert torch.equal(moved["a"], moved["b"])
    assert not torch.equal(moved["a"], picture)


# Neighboring slices


def test_neighbors_are_channels_and_edges_are_repeated(volume):
    data = unpaired([volume(1, "T1w", 4)], [volume(1, "T2w", 1)], num_adjacent=2)
    shown = {index: [round(1000 * float(channel[0, 0])) - 100 for channel in data[0, index]["a"]] for index in range(4)}
    assert shown == {0: [0, 0, 0, 1, 2], 1: [0, 0, 1, 2, 3], 2: [0, 1, 2, 3, 3], 3: [1, 2, 3, 3, 3]}
    assert data[0, 0]["b"].shape == (5, 8, 8)
    assert (data[0, 0]["b"] == data[0, 0]["b"][0, 0, 0]).all()


def test_neighbors_are_shown_though_they_are_too_empty_to_train_themselves(volume):
    data = unpaired([volume(1, "T1w", 3, [0.0, 0.5, 0.0])], [volume(1, "T2w", 3)], min_foreground=0.1, num_adjacent=1)
    item = data[0, 0]["a"]
    assert [round(1000 * float(channel[0, 0])) for channel in item] == [100, 101, 102]


def test_the_middle_channel_is_the_slice_itself(volume):
    volumes = [volume(1, "T1w", 9)], [volume(1, "T2w", 7)]
    flat, deep = unpaired(*volumes, seed=4), unpaired(*volumes, seed=4, num_adjacent=2)
    for index in range(9):
        for name in "ab":
            assert torch.equal(deep[1, index][name][2:3], flat[1, index][name])


# EpochSampler


def test_an_epoch_visits_every_index_once_in_another_order_each_time():
    sampler = EpochSampler(50, seed=0)
    assert len(sampler) == 50
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {epoch_of for epoch_of, _ in keys} == {epoch}
        assert sorted(index for _, index in keys) == list(range(50))
        orders.append(tuple(index for _, index in keys))
    assert len({*orders, tuple(range(50))}) == 4


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = EpochSampler(50, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    resumed = EpochSampler(50, seed=0)
    list(resumed)
    resumed.set_epoch(4)
    assert list(resumed) == list(resumed) == order(0, 4)
    assert [index for _, index in order(1, 4)] != [index for _, index in order(0, 4)]


# Loading


def loaded(
    volumes: list[CachedVolume], num_workers: int, epochs: tuple[int, ...]
) -> dict[int, dict[str, torch.Tensor]]:
    """All items of each epoch, in order of loading, as the data module loads and augments them."""
    data = unpaired(volumes[:1], volumes[1:], augmentation=AUGMENTATION)
    loader = training_loader(data, batch_size=3, num_workers=num_workers, seed=0)
    result = {}
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)
        batches = [AUGMENTATION.of_batch(batch) for batch in loader]
        result[epoch] = {name: torch.cat([batch[name] for batch in batches]) for name in "ab"}
    return result


def test_workers_load_what_the_main_process_loads(textured):
    alone, shared = loaded(textured, 0, (0, 1)), loaded(textured, 2, (0, 1))
    resumed = loaded(textured, 2, (1,))
    for name in "ab":
        assert alone[0][name].shape == (12, 1, 16, 16)
        for epoch in (0, 1):
            assert torch.equal(alone[epoch][name], shared[epoch][name])
        assert torch.equal(resumed[1][name], shared[1][name])


def test_no_augmentation_is_drawn_twice_by_workers_or_epochs(textured):
    epochs = loaded(textured, 2, (0, 1, 2))
    for name in "ab":
        images = torch.cat([epochs[epoch][name] for epoch in epochs]).flatten(1)
        distances = torch.cdist(images, images) + torch.eye(len(images)) * 1e9
        assert distances.min() > 1e-3


class CarelessSlices(UnpairedSlices):
    """Augments by a random state that every worker inherits, as many data sets do."""

    def load(self, volumes, position):
        return self.noise(super().load(volumes, position)).as_tensor()


def test_the_check_above_would_see_workers_that_repeat_each_other(textured):
    data = unpaired(textured[:1], textured[1:], kind=CarelessSlices)
    data.noise = RandGaussianNoise(prob=1.0).set_random_state(seed=0)
    loader = DataLoader(data, batch_size=3, sampler=EpochSampler(len(data), 0), num_workers=2)
    first, second = (batch["a"] for _, batch in zip(range(2), loader, strict=False))
    assert torch.equal(first, second)


# PairedSlices


def test_paired_slices_come_in_order_with_the_number_of_their_case(volume):
    pairs = [(volume(1, "T1w", 2), volume(3, "T2w", 2)), (volume(2, "T1w", 3), volume(4, "T2w", 3))]
    data = PairedSlices(pairs, 0)
    assert len(data) == 5
    items = [data[index] for index in range(5)]
    assert [code(item["a"]) for item in items] == [100, 101, 200, 201, 202]
    assert [code(item["b"]) for item in items] == [300, 301, 400, 401, 402]
    assert [int(item["case"]) for item in items] == [0, 0, 1, 1, 1]
    assert items[0]["case"].shape == ()


def test_paired_slices_carry_the_foreground_of_each(volume):
    pair = volume(1, "T1w", 2, [0.25, 0.5]), volume(1, "T2w", 2, [0.75, 1.0])
    item = PairedSlices([pair], 0)[1]
    assert item["foreground_a"].dtype == torch.bool
    assert item["foreground_a"].shape == (1, 8, 8)
    assert int(item["foreground_a"].sum()) == 32
    assert int(item["foreground_b"].sum()) == 64


def test_paired_slices_batch(volume):
    data = PairedSlices([(volume(1, "T1w", 3), volume(1, "T2w", 3))], 0)
    batch = next(iter(DataLoader(data, batch_size=3, generator=torch.Generator())))
    assert batch["a"].shape == batch["foreground_b"].shape == (3, 1, 8, 8)
    assert batch["case"].tolist() == [0, 0, 0]


def test_paired_slices_show_neighbors_and_the_foreground_of_the_middle_one(volume):
    pair = volume(1, "T1w", 3, [0.25, 0.5, 0.75]), volume(2, "T2w", 3, [1.0, 0.75, 0.5])
    items = [PairedSlices([pair], 1)[index] for index in range(3)]
    for name, first in (("a", 100), ("b", 200)):
        shown = [[round(1000 * float(channel[0, 0])) - first for channel in item[name]] for item in items]
        assert shown == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]
    assert [int(item["foreground_a"].sum()) for item in items] == [16, 32, 48]
    assert [int(item["foreground_b"].sum()) for item in items] == [64, 48, 32]
    assert all(item["foreground_a"].shape == (1, 8, 8) for item in items)
