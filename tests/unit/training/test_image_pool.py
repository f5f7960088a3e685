import pytest
import torch

from mri_cyclegan.training.image_pool import ImagePool


def numbered(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)


def test_a_filling_pool_stores_and_returns_everything():
    pool = ImagePool(3)
    assert torch.equal(pool.query(numbered(1, 2)), numbered(1, 2))
    assert torch.equal(pool.query(numbered(3)), numbered(3))
    assert torch.equal(pool.images, numbered(1, 2, 3))


def test_a_full_pool_swaps_about_half_and_loses_nothing():
    torch.manual_seed(0)
    pool = ImagePool(50)
    pool.query(numbered(*range(50)))
    shown, swapped = [], 0
    for value in range(50, 2050):
        before = set(pool.images.flatten().tolist())
        result = pool.query(numbered(value)).item()
        after = set(pool.images.flatten().tolist())
        if result == value:
            assert after == before
        else:
            swapped += 1
            assert result in before
            assert after == before - {result} | {value}
        shown.append(result)
    assert 900 < swapped < 1100
    assert len(set(shown)) == len(shown), "an image leaves the pool when it is shown"


def test_size_zero_shows_the_newest():
    pool = ImagePool(0)
    assert torch.equal(pool.query(numbered(7)), numbered(7))
    assert len(pool.images) == 0


def test_what_it_shows_does_not_change_with_the_pool():
    torch.manual_seed(0)
    pool = ImagePool(1)
    pool.query(numbered(0))
    results = [pool.query(numbered(value)) for value in range(1, 20)]
    values = [result.item() for result in results]
    for value in range(20, 40):
        pool.query(numbered(value))
    assert [result.item() for result in results] == values


def test_the_pool_is_part_of_a_checkpoint():
    pool = ImagePool(4)
    pool.query(numbered(1, 2, 3))
    restored = ImagePool(4)
    restored.load_state_dict(pool.state_dict())
    assert torch.equal(restored.images, pool.images)


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match=r"model\.pool_size.*-1"):
        ImagePool(-1)


def test_what_is_not_finite_is_shown_once_and_stored_as_gray():
    torch.manual_seed(0)
    pool = ImagePool(2)
    nan, inf = float("nan"), float("inf")
    assert torch.equal(pool.query(numbered(nan, -inf)).isfinite(), torch.tensor([False, False]).reshape(2, 1, 1, 1))
    assert torch.equal(pool.images, numbered(0, 0))
    for _ in range(20):
        pool.query(numbered(nan))
    assert torch.equal(pool.images, numbered(0, 0))
