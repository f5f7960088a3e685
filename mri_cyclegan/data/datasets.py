"""Data sets of slices for training (unpaired) and for metrics (paired)."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler

from mri_cyclegan.data.augmentation import CHANGES, Augmentation
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.matching import Matching


class UnpairedSlices(Dataset[dict[str, Tensor]]):
    """Slices of contrast a, each with a random slice of contrast b.

    Items are indexed by (epoch, index). An item depends only on these two and the seed, so it is the same in every
    worker process and after a resume, and differs between epochs.

    Args:
        volumes_a: training volumes of contrast a.
        volumes_b: training volumes of contrast b; their number may differ.
        min_foreground: smallest share of a slice's pixels that must show the head for the slice to be used.
        slice_range: range of relative heights in the head, (low, high) in [0, 1]; only slices in it are used.
        matching: which slices of b may be drawn for a slice of a.
        num_adjacent: neighboring slices on either side, as extra channels of an item, k.
        augmentation: draws the changes of each slice, or None; they are applied later, on the batch's device.
        seed: seed of the draws of b and of the changes.

    Attributes:
        positions_only: items hold ``positions``, (2,), the indices of their slices in ``slices_a`` and ``slices_b``,
            instead of ``a`` and ``b``: see :class:`mri_cyclegan.data.device_slices.DeviceSlices`.

    Raises:
        ValueError: no slice of a contrast has enough foreground in that range.
    """

    def __init__(
        self,
        volumes_a: Sequence[CachedVolume],
        volumes_b: Sequence[CachedVolume],
        min_foreground: float,
        slice_range: tuple[float, float],
        matching: Matching,
        num_adjacent: int,
        augmentation: Augmentation | None,
        seed: int,
    ) -> None:
        self.volumes_a, self.volumes_b = list(volumes_a), list(volumes_b)
        self.slices_a = _training_slices(self.volumes_a, min_foreground, slice_range)
        self.slices_b = _training_slices(self.volumes_b, min_foreground, slice_range)
        self.candidates_b = matching.candidates(self.volumes_a, self.slices_a, self.volumes_b, self.slices_b)
        self.same_geometry = matching.match == "subject"
        self.num_adjacent = num_adjacent
        self.augmentation = augmentation
        self.seed = seed
        self.positions_only = False

    def of_contrast(self, name: str) -> tuple[list[CachedVolume], np.ndarray]:
        """Volumes of ``a`` or ``b``, and the volume and slice number of each training slice, (N, 2)."""
        return (self.volumes_a, self.slices_a) if name == "a" else (self.volumes_b, self.slices_b)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of each image, (2k + 1, H, W)."""
        height, width = self.volumes_a[0].record["shape"][1:]
        return 2 * self.num_adjacent + 1, height, width

    @property
    def num_bytes(self) -> int:
        """Memory that all training slices of both contrasts take as float32 stacks, in bytes."""
        return 4 * math.prod(self.image_shape) * (len(self.slices_a) + len(self.slices_b))

    def __len__(self) -> int:
        """Number of slices of the contrast with more slices; those of the other repeat within an epoch."""
        return max(len(self.slices_a), len(self.slices_b))

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Slices ``a`` and ``b``, each (2k + 1, H, W), in [-1, 1]; with augmentation also their ``changes``, (2, 8).

        See :class:`mri_cyclegan.data.augmentation.Augmentation`. With ``data.match=subject`` both slices get the same
        geometric changes, so that they still show the same place; brightness and contrast change independently.
        """
        index_a, index_b, random = self._draw(key)
        item = self._images(index_a, index_b)
        if self.augmentation is None:
            return item
        changes = self.augmentation.draw(random, 2)
        if self.same_geometry:
            num_moving = CHANGES.index("brightness")
            changes[1, :num_moving] = changes[0, :num_moving]
        return item | {"changes": changes}

    def sources(self, key: tuple[int, int]) -> list[tuple[CachedVolume, int]]:
        """Volume and slice number of ``a`` and of ``b`` in an item."""
        index_a, index_b, _ = self._draw(key)
        places = (self.volumes_a, self.slices_a[index_a]), (self.volumes_b, self.slices_b[index_b])
        return [(volumes[volume], int(number)) for volumes, (volume, number) in places]

    def _draw(self, key: tuple[int, int]) -> tuple[int, int, np.random.Generator]:
        epoch, index = key
        random = np.random.default_rng([self.seed, epoch, index])
        index_a = index % len(self.slices_a)
        return index_a, self.candidates_b.draw(index_a, random), random

    def _images(self, index_a: int, index_b: int) -> dict[str, Tensor]:
        if self.positions_only:
            return {"positions": torch.tensor([index_a, index_b])}
        return {
            "a": self.load(self.volumes_a, self.slices_a[index_a]),
            "b": self.load(self.volumes_b, self.slices_b[index_b]),
        }

    def load(self, volumes: list[CachedVolume], position: np.ndarray) -> Tensor:
        """Read a slice with its neighbors, (2k + 1, H, W), in [-1, 1]."""
        return torch.from_numpy(volumes[position[0]].stack(int(position[1]), self.num_adjacent))


class EpochSampler(Sampler[tuple[int, int]]):
    """Random order of an :class:`UnpairedSlices`, new in each epoch, as (epoch, index).

    Each rank takes every ``num_ranks``-th index of the same order, so that in each step all ranks together see the
    same samples as one process with a ``num_ranks`` times larger batch. All ranks get the same number of samples, so
    none waits for another: if the length is not divisible, the first indices of the order are repeated at its end.

    Lightning calls :meth:`set_epoch` before each epoch, also after a resume.

    Args:
        length: length of the data set.
        seed: seed of the order.
        rank: rank of this process, from 0.
        num_ranks: number of ranks.

    Attributes:
        num_left_out: samples to skip at the start of the next iteration only.
    """

    def __init__(self, length: int, seed: int, rank: int = 0, num_ranks: int = 1) -> None:
        self.length = length
        self.seed = seed
        self.rank = rank
        self.num_ranks = num_ranks
        self.epoch = 0
        self.num_left_out = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.length / self.num_ranks)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        own = self.keys(self.epoch)[self.rank :: self.num_ranks]
        start, self.num_left_out = self.num_left_out, 0
        return iter(own[start:])

    def keys(self, epoch: int) -> list[tuple[int, int]]:
        """Keys (epoch, index) of an epoch in order, for all ranks together."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return [(epoch, int(index)) for index in np.resize(order, len(self) * self.num_ranks)]  # wraps around


class RepeatedEpoch(EpochSampler, SequentialSampler):  # type: ignore[misc]
    """Repeats the first epoch with its order, draws of b and changes, for ``trainer.overfit_batches``.

    It must be a ``SequentialSampler``: Lightning replaces any other by its own sampler, which has no epochs.
    """

    def keys(self, epoch: int) -> list[tuple[int, int]]:
        """Keys of the first epoch, for any epoch."""
        return super().keys(0)


class ResumableLoader(DataLoader):
    """A loader that can resume in the middle of an epoch.

    Lightning saves :meth:`state_dict` in checkpoints made during an epoch. After a resume it counts the batches
    before the checkpoint as done.
    """

    sampler: EpochSampler
    num_given = num_left_out = 0

    def keys_of_batch(self, epoch: int, batch: int) -> list[tuple[int, int]]:
        """Keys of one batch of an epoch, for all ranks together."""
        num_keys = (self.batch_size or 1) * self.sampler.num_ranks
        return self.sampler.keys(epoch)[batch * num_keys : (batch + 1) * num_keys]

    def __iter__(self) -> Any:
        """Batches of the sampler's epoch; the first iteration after a resume skips those before the checkpoint."""
        self.num_given, self.num_left_out = self.num_left_out, 0
        self.sampler.num_left_out = self.num_given * (self.batch_size or 1)
        for batch in super().__iter__():
            self.num_given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Number of batches of the current epoch that were returned."""
        return {"num_given": self.num_given}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Skip these batches in the next iteration."""
        self.num_left_out = state_dict["num_given"]


def training_loader(
    slices: UnpairedSlices,
    batch_size: int,
    num_workers: int,
    seed: int,
    rank: int = 0,
    num_ranks: int = 1,
    repeat_epoch: bool = False,
) -> DataLoader:
    """Loader for the batches of an :class:`UnpairedSlices`, in a new order each epoch.

    Args:
        slices: the data set to load.
        batch_size: slices of each contrast.
        num_workers: loader processes; 0 loads in the main process.
        seed: seed of the order.
        rank: rank of this process, see :class:`EpochSampler`.
        num_ranks: number of ranks.
        repeat_epoch: whether every epoch repeats the first one.
    """
    sampler = RepeatedEpoch if repeat_epoch else EpochSampler
    return ResumableLoader(
        slices,
        batch_size=batch_size,
        sampler=sampler(len(slices), seed, rank, num_ranks),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(seed),
    )


class PairedSlices(Dataset[dict[str, Tensor]]):
    """Every slice of subjects scanned in both contrasts, in order, unchanged.

    Args:
        pairs: volumes (a, b) of one subject each, where slices with the same number show the same place; the index of
            a pair is its ``case``.
        num_adjacent: neighboring slices on either side, as extra channels of an item, k.
    """

    def __init__(self, pairs: Sequence[tuple[CachedVolume, CachedVolume]], num_adjacent: int) -> None:
        self.pairs = list(pairs)
        self.num_adjacent = num_adjacent
        self.positions = [
            (case, number) for case, (volume_a, _) in enumerate(self.pairs) for number in range(volume_a.num_slices)
        ]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One slice of a subject in both contrasts.

        ``a``, ``b``: (2k + 1, H, W) in [-1, 1]; ``foreground_a``, ``foreground_b``: (1, H, W) bool, of the center
        slice, within the field of view of both scans; ``case``: ().
        """
        case, number = self.positions[index]
        item = {"case": torch.tensor(case)}
        _, b = self.pairs[case]
        for name, volume in zip("ab", self.pairs[case], strict=True):
            item[name] = torch.from_numpy(volume.stack(number, self.num_adjacent))
            foreground = volume.foreground_slice(number)
            if b.is_resampled:
                foreground = foreground & b.common_fov_slice(number)
            item[f"foreground_{name}"] = torch.from_numpy(foreground)[None]
        return item


def _training_slices(
    volumes: list[CachedVolume], min_foreground: float, slice_range: tuple[float, float]
) -> np.ndarray:
    """Volume and slice numbers of the slices to train on, (N, 2)."""
    low, high = slice_range
    positions = [
        (number, index)
        for number, volume in enumerate(volumes)
        for index, (share, height) in enumerate(
            zip(volume.record["foreground_share"], volume.relative_heights, strict=True)
        )
        if share >= min_foreground and not (height < low or height > high)  # keeps NaN: unknown heights
    ]
    if not positions:
        contrast = volumes[0].scan.contrast
        raise ValueError(
            f"data.min_foreground={min_foreground} and data.slice_range={list(slice_range)}: no {contrast} slice in "
            "that range shows that much of a head."
        )
    return np.array(positions)
