import numpy as np
import pytest
from scipy import stats

from mri_cyclegan.evaluation.metrics.uncertainty import MAX_VOXELS, measure_uncertainty, pooled_uncertainty


def volumes(seed=0, shape=(6, 30, 40)):
    random = np.random.default_rng(seed)
    std = random.uniform(0.01, 0.1, shape).astype(np.float32)
    error = (std * random.normal(0, 1, shape)).astype(np.float32)
    return std, error, random.random(shape) < 0.7


def test_the_correlation_equals_scipys_over_the_mask():
    std, error, mask = volumes()
    expected = stats.spearmanr(std[mask], np.abs(error[mask])).statistic
    assert measure_uncertainty(std, error, mask)["spearman"] == pytest.approx(expected, abs=1e-12)


def test_a_spread_proportional_to_the_error_is_calibrated():
    std, _, mask = volumes()
    sign = np.where(np.arange(std.shape[-1]) % 2, 1, -1)
    result = measure_uncertainty(std, 2 * sign * std, mask)
    assert result["spearman"] == pytest.approx(1)
    for row in result["calibration"]:
        assert row["error"] == pytest.approx(2 * row["spread"])


def test_an_independent_spread_tells_nothing():
    std, _, mask = volumes()
    error = np.random.default_rng(1).normal(0, 0.1, std.shape)
    result = measure_uncertainty(std, error, mask)
    assert abs(result["spearman"]) < 0.05
    expected = np.abs(error[mask]).mean()
    assert [row["error"] for row in result["calibration"]] == pytest.approx([expected] * 10, rel=0.15)


def test_bins_hold_equally_many_voxels_by_growing_spread():
    std, error, mask = volumes()
    table = measure_uncertainty(std, error, mask)["calibration"]
    order = np.argsort(std[mask])
    for row, voxels in zip(table, np.array_split(order, 10), strict=True):
        assert row["spread"] == pytest.approx(std[mask][voxels].mean(), rel=1e-5)
        assert row["error"] == pytest.approx(np.abs(error[mask][voxels]).mean(), rel=1e-5)
        assert row["share"] == pytest.approx(0.1, abs=1e-3)
    assert sum(row["share"] for row in table) == pytest.approx(1)


def test_what_lies_outside_the_mask_does_not_count():
    std, error, mask = volumes()
    assert measure_uncertainty(std, np.where(mask, error, 9), mask) == measure_uncertainty(std, error, mask)


def test_of_many_voxels_a_random_part_stands_for_all():
    std, error, _ = volumes(shape=(10, 150, 160))
    mask = np.ones(std.shape, bool)
    assert mask.sum() > 2 * MAX_VOXELS
    result = measure_uncertainty(std, error, mask)
    assert result == measure_uncertainty(std, error, mask)
    assert result["spearman"] == pytest.approx(stats.spearmanr(std, np.abs(error), axis=None).statistic, abs=0.01)
    assert sum(row["share"] for row in result["calibration"]) == pytest.approx(1)


def test_voxels_of_equal_spread_share_their_bins_by_chance():
    """An ensemble agrees exactly in saturated voxels; sorted by place, the first bins would be the lowest slices."""
    shape = (10, 30, 30)
    error = np.broadcast_to(np.arange(10)[:, None, None], shape)
    result = measure_uncertainty(np.zeros(shape), error, np.ones(shape, bool))
    assert result["spearman"] == 0
    assert [row["error"] for row in result["calibration"]] == pytest.approx([4.5] * 10, abs=0.5)


def test_subjects_are_pooled_bin_by_bin():
    records = [measure_uncertainty(*volumes(seed)) for seed in range(3)]
    mean_histogram = pooled_uncertainty(records)
    assert mean_histogram["spearman"] == pytest.approx(np.mean([record["spearman"] for record in records]))
    assert len(mean_histogram["calibration"]) == 10
    for key in ("spread", "error", "share"):
        expected = np.mean([[row[key] for row in record["calibration"]] for record in records], axis=0)
        assert [row[key] for row in mean_histogram["calibration"]] == pytest.approx(expected)


def test_fewer_voxels_than_bins_are_refused():
    std, error, mask = volumes()
    few = np.zeros_like(mask)
    few[0, 0, :9] = True
    with pytest.raises(AssertionError):
        measure_uncertainty(std, error, few)
