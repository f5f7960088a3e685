import logging
import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from mri_cyclegan.data import slice_cache
from mri_cyclegan.data.augmentation import Augmentation
from mri_cyclegan.data.datamodule import MRIDataModule
from mri_cyclegan.data.layouts import LayoutSettings, find_scans
from mri_cyclegan.data.phantom import Phantom

PHANTOM = Phantom(
    num_train=4, num_val=2, num_test=1, spacing_mm=8.0, lesion_share=0.5, noise=0.02, bias_strength=0.1, seed=0
)


@pytest.fixture(scope="module")
def phantom_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    PHANTOM.write(root)
    return root


@pytest.fixture(scope="module")
def cache_root(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def data_module(root: Path, cache_root: Path, **changes) -> MRIDataModule:
    settings = {
        "names_identify_subjects": True,
        "num_processes": 1,
        "spacing_mm": None,
        "image_size": 24,
        "augmentation": Augmentation(8, 0.05, 0.1, True, 0.1, 0.1),
        "batch_size": 3,
        "val_batch_size": 5,
        "num_workers": 0,
        "cache_root": str(cache_root),
    }
    return MRIDataModule(str(root), **settings | changes)


def ready(*arguments, **changes) -> MRIDataModule:
    data = data_module(*arguments, **changes)
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture
def data(phantom_root, cache_root) -> MRIDataModule:
    return ready(phantom_root, cache_root, phantom=PHANTOM, split_column="split")


@pytest.fixture
def bids(tmp_path, head, save_nifti):
    """Makes a BIDS data set of small heads: subject to the contrasts they have."""

    def make(subjects: dict[str, list[str]], affine: np.ndarray | None = None) -> Path:
        for number, (subject, contrasts) in enumerate(subjects.items()):
            for contrast in contrasts:
                path = tmp_path / "bids" / subject / "anat" / f"{subject}_{contrast}.nii.gz"
                save_nifti(path, head((16, 18, 12), seed=2 * number + (contrast == "T2w")), affine)
        return tmp_path / "bids"

    return make


def batches(data: MRIDataModule, epoch: int) -> list[dict[str, torch.Tensor]]:
    """An epoch as training sees it."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [data.on_after_batch_transfer(batch, 0) for batch in loader]


# Phantom, from files to batches


def test_the_split_follows_the_column_and_keeps_subjects_apart(data):
    split = data.split
    names = {part: {scan.subject for scan in getattr(split, part)} for part in ("train_a", "train_b", "val", "test")}
    assert names == {
        "train_a": {"sub-001", "sub-003"},
        "train_b": {"sub-002", "sub-004"},
        "val": {"sub-005", "sub-006"},
        "test": {"sub-007"},
    }
    assert split.subjects_in_both_domains() == []
    assert {volume.scan.contrast for volume in data.train_slices.volumes_a} == {"T1w"}
    assert {volume.scan.contrast for volume in data.train_slices.volumes_b} == {"T2w"}


def test_describe_counts_subjects_slices_and_pairs(data):
    num_a, num_b = (
        sum(int((volume.foreground.mean(axis=(1, 2)) >= 0.05).sum()) for volume in volumes)
        for volumes in (data.train_slices.volumes_a, data.train_slices.volumes_b)
    )
    assert min(num_a, num_b) > 20
    assert data.describe() == (
        f"Training on {num_a} T1w slices of 2 subjects and {num_b} T2w slices of 2; "
        "pairs for validation: 2, for test: 1."
    )


def test_training_batches_have_their_shape_and_range(data):
    loaded = batches(data, 0)
    assert sum(len(batch["a"]) for batch in loaded) == len(data.train_slices)
    assert all(set(batch) == {"a", "b"} for batch in loaded)
    for name in "ab":
        assert loaded[0][name].shape == (3, 1, 24, 24)
        images = torch.cat([batch[name] for batch in loaded])
        assert images.dtype == torch.float32
        assert images.min() == -1
        assert 0.8 < images.max() <= 1


def test_training_batches_follow_from_the_seed_and_the_epoch(data, phantom_root, cache_root):
    def first(seed: int, epoch: int) -> torch.Tensor:
        fresh = ready(phantom_root, cache_root, phantom=PHANTOM, split_column="split", seed=seed)
        return batches(fresh, epoch)[0]["b"]

    expected = first(0, 2)
    torch.manual_seed(123)
    assert torch.equal(first(0, 2), expected)
    assert not torch.equal(first(0, 3), expected)
    assert not torch.equal(first(1, 2), expected)


def test_a_training_batch_is_augmented_whole_and_a_validation_batch_is_not(data):
    loaded = next(iter(data.train_dataloader()))
    seen = data.on_after_batch_transfer(loaded, 0)
    assert set(seen) == {"a", "b"}
    for name, expected in data.augmentation.of_batch(loaded).items():
        assert torch.equal(seen[name], expected)
        assert not torch.equal(seen[name], loaded[name])
    for batch in data.val_dataloader():
        assert data.on_after_batch_transfer(batch, 0) is batch


def test_without_augmentation_training_slices_are_those_on_disk(phantom_root, cache_root):
    data = ready(phantom_root, cache_root, phantom=PHANTOM, split_column="split", augmentation=None)
    known = {image.tobytes() for volume in data.train_slices.volumes_a for image in volume.slices}
    for batch in batches(data, 0):
        assert set(batch) == {"a", "b"}
        assert all(image.numpy().tobytes() in known for image in batch["a"])


def test_neighbors_reach_every_batch_and_the_samples(phantom_root, cache_root):
    data = ready(phantom_root, cache_root, phantom=PHANTOM, split_column="split", num_adjacent_slices=1)
    assert batches(data, 0)[0]["a"].shape == (3, 3, 24, 24)
    for loader, pairs in ((data.val_dataloader(), data.val_pairs), (data.test_dataloader(), data.test_pairs)):
        centers = torch.cat([batch["b"] for batch in loader])[:, 1]
        np.testing.assert_array_equal(centers, np.concatenate([b.slices for _, b in pairs]))
    for case in data.sample_cases(2):
        subject, index = case.label.split()
        volume = next(a for a, _ in data.val_pairs if a.scan.subject == subject)
        np.testing.assert_array_equal(case.a, volume.slices[int(index) - 1 : int(index) + 2])


def test_b_can_be_matched_by_position(phantom_root, cache_root):
    settings = {"phantom": PHANTOM, "split_column": "split", "augmentation": None}
    matched, free = (ready(phantom_root, cache_root, match=match, **settings) for match in ("position", "none"))

    def gaps(data):
        """Difference of the heights in the head that a and b of each batch show."""
        height = {
            image.tobytes(): relative
            for volume in data.train_slices.volumes_a + data.train_slices.volumes_b
            for image, relative in zip(volume.slices, volume.relative_heights, strict=True)
        }
        pairs = [pair for batch in batches(data, 0) for pair in zip(batch["a"].numpy(), batch["b"].numpy())]
        return [abs(height[a.tobytes()] - height[b.tobytes()]) for a, b in pairs]

    assert max(gaps(matched)) <= 0.05 + 1e-9
    assert max(gaps(free)) > 0.5


@pytest.mark.parametrize(
    ("key", "value"),
    [("match", "slice"), ("match_tolerance", -0.1), ("match_tolerance", 1.5), ("num_adjacent_slices", -1)],
)
def test_a_bad_setting_is_refused_by_its_key_before_anything_is_read(tmp_path, key, value):
    with pytest.raises(ValueError, match=rf"^data\.{key}: expected .* got '?{value}"):
        data_module(tmp_path / "nowhere", tmp_path / "cache", **{key: value})


def test_the_order_of_training_slices_follows_the_seed(phantom_root, cache_root):
    def order(seed: int) -> torch.Tensor:
        fresh = ready(phantom_root, cache_root, phantom=PHANTOM, split_column="split", augmentation=None, seed=seed)
        return torch.cat([batch["a"] for batch in batches(fresh, 0)])

    assert torch.equal(order(0), order(0))
    assert not torch.equal(order(0), order(1))


def test_making_loaders_leaves_the_global_random_state_alone(data):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(data.train_dataloader())
    list(data.val_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "num_cases"), [("val", 2), ("test", 1)])
def test_paired_loaders_give_every_slice_of_every_pair_unchanged(data, name, num_cases):
    pairs = data.val_pairs if name == "val" else data.test_pairs
    loader = data.val_dataloader() if name == "val" else data.test_dataloader()
    loaded = list(loader)
    assert len(pairs) == num_cases
    assert all(a.scan.subject == b.scan.subject for a, b in pairs)
    assert loaded[0]["a"].shape == (5, 1, 24, 24)
    for key, side in (("a", 0), ("b", 1)):
        expected = np.concatenate([pair[side].slices for pair in pairs])
        np.testing.assert_array_equal(torch.cat([batch[key] for batch in loaded])[:, 0], expected)
    cases = torch.cat([batch["case"] for batch in loaded]).tolist()
    assert cases == [case for case, (a, _) in enumerate(pairs) for _ in range(len(a.slices))]


def test_pairs_show_the_same_head(data):
    for volume_a, volume_b in data.val_pairs:
        overlap = (volume_a.foreground & volume_b.foreground).sum()
        assert 2 * overlap / (volume_a.foreground.sum() + volume_b.foreground.sum()) > 0.9


def test_sample_cases_show_one_slice_of_one_head_in_both_contrasts(data):
    cases = data.sample_cases(4)
    assert [case.paired for case in cases] == [True] * 4
    assert [case.label.split()[0] for case in cases] == ["sub-005", "sub-006", "sub-005", "sub-006"]
    for case in cases:
        subject, index = case.label.split()
        volume_a, volume_b = next(pair for pair in data.val_pairs if pair[0].scan.subject == subject)
        np.testing.assert_array_equal(case.a[0], volume_a.slices[int(index)])
        np.testing.assert_array_equal(case.b[0], volume_b.slices[int(index)])
        shown = np.flatnonzero(volume_a.foreground.mean(axis=(1, 2)) > 0.02)
        assert 0.25 < (int(index) - shown[0]) / (shown[-1] - shown[0]) < 0.75
    assert int(cases[0].label.split()[1]) < int(cases[2].label.split()[1])


def test_a_second_module_prepares_nothing_again(data, phantom_root, cache_root, monkeypatch):
    def refuse(*_):
        raise AssertionError("a scan was read again")

    monkeypatch.setattr(slice_cache, "read_volume", refuse)
    again = ready(phantom_root, cache_root, phantom=PHANTOM, split_column="split")
    assert again.describe() == data.describe()


def test_a_second_setup_keeps_the_split(data):
    split, slices = data.split, data.train_slices
    data.setup("test")
    assert data.split is split
    assert data.train_slices is slices


# A user's scans


def test_all_unfit_files_are_reported_together(tmp_path, bids, save_nifti):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"], "sub-03": ["T1w", "T2w"], "sub-04": ["T1w", "T2w"]})
    broken = {subject: root / subject / "anat" / f"{subject}_T1w.nii.gz" for subject in ("sub-01", "sub-03", "sub-04")}
    broken["sub-01"].write_bytes(broken["sub-01"].read_bytes()[:500])
    save_nifti(broken["sub-03"], np.zeros((8, 8, 8), np.float32))
    save_nifti(broken["sub-04"], np.ones((8, 8, 8, 2), np.float32))
    with pytest.raises(ValueError) as caught:
        data_module(root, tmp_path / "cache").prepare_data()
    first, *lines, advice = str(caught.value).splitlines()
    assert first == "2 problems in 6 scans:"
    assert [line.split(": ")[0] for line in lines] == [f"- {broken[name]}" for name in ("sub-01", "sub-04")]
    assert "truncated" in lines[0]
    assert "data.volume_index" in lines[1]
    assert "data.on_unfit=skip" in advice


def test_an_empty_scan_is_dropped_with_a_report(tmp_path, bids, save_nifti, caplog):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"], "sub-03": ["T1w"]})
    empty = save_nifti(root / "sub-03" / "anat" / "sub-03_T1w.nii.gz", np.zeros((8, 8, 8), np.float32))
    data = ready(root, tmp_path / "cache", val_share=0, test_share=0)
    assert [volume.scan.subject for volume in data.train_slices.volumes_a] == ["sub-01"]
    assert [(finding.severity, finding.path) for finding in data.findings] == [("warning", empty)]
    assert f"{empty}: all voxels have the same value. It is left out." in caplog.messages


def test_unfit_files_are_skipped_on_request_and_reported(tmp_path, bids, caplog):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"], "sub-03": ["T1w"], "sub-04": ["T2w"]})
    paths = {scan.subject: scan.path for scan in find_scans(root, LayoutSettings("bids", ("T1w", "T2w"))).scans}
    paths["sub-03"].write_bytes(b"no image")
    shutil.copy(paths["sub-02"], paths["sub-04"])
    data = ready(root, tmp_path / "cache", val_share=0, test_share=0, on_unfit="skip")
    assert {volume.scan.subject for volume in data.train_slices.volumes_a} == {"sub-01"}
    assert {volume.scan.subject for volume in data.train_slices.volumes_b} == {"sub-02"}
    assert {finding.path for finding in data.findings} == {paths["sub-03"], paths["sub-04"]}
    assert len(caplog.messages) == 2
    paths["sub-01"].unlink()
    with pytest.raises(ValueError, match="both contrasts are needed, found 0 of T1w, 1 of T2w"):
        ready(root, tmp_path / "cache", val_share=0, test_share=0, on_unfit="skip")


def test_a_scan_copied_under_another_name_is_caught(tmp_path, bids):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"], "sub-03": ["T1w"]})
    original, copy = (root / name / "anat" / f"{name}_T1w.nii.gz" for name in ("sub-01", "sub-03"))
    image = nibabel.as_closest_canonical(nibabel.load(original)).as_reoriented(np.array([[0, -1], [2, 1], [1, 1]]))
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj, dtype=np.float64), image.affine), copy)
    with pytest.raises(ValueError, match=f"{copy}: the same voxels as {original}"):
        ready(root, tmp_path / "cache")


def test_a_replaced_source_file_is_prepared_again(tmp_path, bids, head, save_nifti):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"]})
    path = root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    os.utime(path, (1e9, 1e9))
    before = ready(root, tmp_path / "cache", val_share=0, test_share=0).train_slices.volumes_a[0].slices.copy()
    save_nifti(path, head((16, 18, 12), seed=9))
    os.utime(path, (1e9, 1e9))
    after = ready(root, tmp_path / "cache", val_share=0, test_share=0).train_slices.volumes_a[0].slices
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("slice_range", [[0.5], [0.6, 0.4], [0.5, 0.5], [-0.1, 1], [0, 1.1]])
def test_a_slice_range_that_is_none_is_refused(tmp_path, slice_range):
    with pytest.raises(ValueError, match=r"data\.slice_range: expected \[low, high\] between 0 and 1"):
        data_module(tmp_path, tmp_path, slice_range=slice_range)


def test_an_unknown_answer_to_unfit_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data\.on_unfit: expected raise or skip, got 'ignore'"):
        data_module(tmp_path, tmp_path, on_unfit="ignore")


def test_a_subject_with_both_contrasts_trains_one_domain_unless_allowed(tmp_path, bids):
    root = bids({f"sub-{number:02d}": ["T1w", "T2w"] for number in range(6)})
    apart = ready(root, tmp_path / "cache")
    assert apart.split.subjects_in_both_domains() == []
    assert len(apart.val_pairs) == len(apart.test_pairs) == 1
    shared = ready(root, tmp_path / "cache", allow_paired_subjects=True)
    assert len(shared.split.subjects_in_both_domains()) == 4
    assert shared.describe().endswith(" 4 subjects give both contrasts to training.")
    other = ready(root, tmp_path / "cache", split_seed=1)
    assert other.split != apart.split


def test_without_pairs_validation_is_empty_and_samples_are_unpaired(tmp_path, bids):
    contrasts = {f"sub-{number:02d}": ["T1w"] if number % 2 else ["T2w"] for number in range(12)}
    data = ready(bids(contrasts), tmp_path / "cache", val_share=0.2, test_share=0.2)
    assert data.val_dataloader() == data.test_dataloader() == []
    assert data.describe().endswith("pairs for validation: 0, for test: 0.")
    assert data.why_no_pairs().startswith("No subject has both contrasts. So there are no paired metrics")
    cases = data.sample_cases(3)
    val = {scan.subject for scan in data.split.val}
    assert len(cases) == 3
    for case in cases:
        assert not case.paired
        subject_a, subject_b = (name.split()[0] for name in case.label.split(" / "))
        assert {subject_a, subject_b} <= val
        assert contrasts[subject_a] == ["T1w"]
        assert contrasts[subject_b] == ["T2w"]


def test_without_validation_samples_show_training_scans(tmp_path, bids):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"]})
    (case,) = ready(root, tmp_path / "cache", val_share=0.0, test_share=0.0).sample_cases(1)
    assert not case.paired
    assert [name.split()[0] for name in case.label.split(" / ")] == ["sub-01", "sub-02"]
    assert case.a.shape == case.b.shape == (1, 24, 24)
    assert not torch.equal(case.a, case.b)


@pytest.mark.parametrize(("spacing_mm", "image_size", "warns"), [(1.0, 24, False), (0.5, 24, True), (None, 16, False)])
def test_cropping_of_the_head_is_warned_about(tmp_path, bids, caplog, spacing_mm, image_size, warns):
    root = bids({"sub-01": ["T1w"], "sub-02": ["T2w"]})
    with caplog.at_level(logging.WARNING):
        ready(root, tmp_path / "cache", spacing_mm=spacing_mm, image_size=image_size)
    crops = [message for message in caplog.messages if "crops up to" in message]
    assert len(crops) == warns
    if warns:
        assert "data.image_size=24" in crops[0]
        assert "sub-01_T1w.nii.gz" in crops[0] or "sub-02_T2w.nii.gz" in crops[0]


def test_pairs_are_cut_alike_though_their_heads_boxes_differ(tmp_path, head, save_nifti):
    """In validation and in training: off the middle each scan alone would be cut where its own head ends."""
    for number in (1, 2):
        array = np.pad(100 * head((16, 18, 12), number), ((30, 2), (4, 24), (0, 0)))
        larger = array.copy()
        larger[36:42, 2:7, 4:8] = array.max()  # a nose that only one contrast shows
        for contrast, image in (("T1w", array), ("T2w", larger)):
            save_nifti(tmp_path / f"bids/sub-{number}/anat/sub-{number}_{contrast}.nii.gz", image.astype(np.float32))
    (tmp_path / "bids/participants.tsv").write_text("participant_id\tpart\nsub-1\ttrain\nsub-2\tval\n")
    settings = {"match": "subject", "allow_paired_subjects": True, "split_column": "part", "spacing_mm": 1.0}
    data = ready(tmp_path / "bids", tmp_path / "cache", **settings)
    pairs = [*data.val_pairs, (data.train_slices.volumes_a[0], data.train_slices.volumes_b[0])]
    assert len(pairs) == 2
    for a, b in pairs:
        assert b.record["window"] == a.record["window"] != data.cache.get(b.scan).record["window"]
        assert b.record["affine"] == a.record["affine"]
        shared = a.foreground & b.foreground
        assert np.count_nonzero(shared) > 0.95 * np.count_nonzero(a.foreground)
        assert np.corrcoef(a.slices[shared], b.slices[shared])[0, 1] > 0.9


def test_pictures_train_without_knowing_their_subjects(tmp_path, head):
    for contrast, seed in (("T1w", 0), ("T2w", 1)):
        (tmp_path / "png" / contrast).mkdir(parents=True)
        for number in range(4):
            picture = (300 * head((20, 20, 9), seed)[:, :, 3 + number]).clip(0, 65535).astype(np.uint16)
            Image.fromarray(picture).save(tmp_path / "png" / contrast / f"{number}.png")
    data = ready(
        tmp_path / "png", tmp_path / "cache", layout="png", names_identify_subjects=False, val_share=0.0, test_share=0.0
    )
    assert data.describe().startswith("Training on 4 T1w slices of 4 subjects and 4 T2w slices of 4;")
    assert data.split.subjects_in_both_domains() == []
    assert len(data.train_slices) == 4


def test_pictures_have_no_position_to_match(tmp_path, head):
    for contrast, seed in (("T1w", 0), ("T2w", 1)):
        path = tmp_path / "png" / contrast / "1.png"
        path.parent.mkdir(parents=True)
        Image.fromarray((300 * head((20, 20, 9), seed)[:, :, 4]).clip(0, 65535).astype(np.uint16)).save(path)
    settings = {"layout": "png", "names_identify_subjects": False, "val_share": 0.0, "test_share": 0.0}
    with pytest.raises(ValueError, match=r"data\.match=position: .*1\.png shows the head in fewer than two slices"):
        ready(tmp_path / "png", tmp_path / "cache", match="position", **settings)


def test_a_missing_contrast_is_refused(tmp_path, bids):
    with pytest.raises(ValueError, match="found 1 of T1w, 0 of FLAIR"):
        data_module(bids({"sub-01": ["T1w", "T2w"]}), tmp_path / "cache", contrasts=["T1w", "FLAIR"]).prepare_data()
