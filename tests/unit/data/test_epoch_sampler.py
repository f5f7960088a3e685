"""How several processes share slices."""

from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import SequentialSampler

from mri_cyclegan.data.datamodule import MRIDataModule
from mri_cyclegan.data.datasets import EpochSampler, RepeatedEpoch


def order(length, seed, epoch, rank=0, num_ranks=1):
    sampler = EpochSampler(length, seed, rank, num_ranks)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(sampler) == len(found)
    assert {number for number, _ in found} == {epoch}
    return [index for _, index in found]


def batches(indices, size):
    return [indices[start : start + size] for start in range(0, len(indices), size)]


@pytest.mark.parametrize("num_ranks", [2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_step_of_all_processes_is_a_step_of_one_with_a_larger_batch(num_ranks, batch_size):
    alone = batches(order(24, 7, 3), num_ranks * batch_size)
    together = [batches(order(24, 7, 3, rank, num_ranks), batch_size) for rank in range(num_ranks)]
    assert [sorted(chain(*step)) for step in zip(*together, strict=True)] == [sorted(step) for step in alone]


@pytest.mark.parametrize(("length", "num_ranks", "expected"), [(10, 4, 3), (9, 3, 3), (2, 5, 1), (1, 3, 1)])
def test_each_process_gets_as_many_and_the_order_starts_over(length, num_ranks, expected):
    whole = order(length, 0, 1)
    shares = [order(length, 0, 1, rank, num_ranks) for rank in range(num_ranks)]
    assert [len(share) for share in shares] == [expected] * num_ranks
    for rank, share in enumerate(shares):
        assert share == [whole[(rank + step * num_ranks) % length] for step in range(expected)]
    assert {index for share in shares for index in share} == set(range(length))


def test_one_process_has_the_order_of_the_epoch():
    assert order(20, 5, 2) == np.random.default_rng([5, 2]).permutation(20).tolist()
    assert order(20, 5, 2) != order(20, 5, 3)


def data_module(num_slices, trainer):
    """Only what loaders of validation pairs need."""
    data = MRIDataModule.__new__(MRIDataModule)
    volume = SimpleNamespace(num_slices=num_slices)
    data.trainer, data.val_pairs = trainer, [(volume, volume)]
    data.num_adjacent_slices, data.val_batch_size, data.seed = 0, 4, 0
    return data


def validated(data, loader="val_dataloader"):
    return [index for batch in getattr(data, loader)().batch_sampler for index in batch]


@pytest.mark.parametrize(("num_slices", "num_ranks"), [(12, 3), (11, 3), (3, 3)])
def test_validation_slices_are_shared_and_none_counts_twice(num_slices, num_ranks):
    shares = [
        validated(data_module(num_slices, SimpleNamespace(global_rank=rank, world_size=num_ranks)))
        for rank in range(num_ranks)
    ]
    assert sorted(chain(*shares)) == list(range(num_slices))
    assert all(share == list(range(rank, num_slices, num_ranks)) for rank, share in enumerate(shares))


def test_too_few_validation_slices_to_share_go_to_all():
    for rank in range(3):
        assert validated(data_module(2, SimpleNamespace(global_rank=rank, world_size=3))) == [0, 1]


def test_what_is_not_shared_is_whole_in_every_process():
    data = data_module(9, SimpleNamespace(global_rank=1, world_size=2))
    assert validated(data, "all_val_batches") == list(range(9))
    assert validated(data_module(9, None)) == list(range(9))


def test_every_epoch_can_be_the_first():
    """Also for Lightning, which would take a sampler of its own in place of what is not sequential."""
    sampler = RepeatedEpoch(12, 7)
    first = list(sampler)
    sampler.set_epoch(5)
    assert list(sampler) == sampler.keys(5) == first
    assert [index for _, index in first] == order(12, 7, 0)
    assert isinstance(sampler, SequentialSampler)
