import tracemalloc

import numpy as np
import pytest
from scipy import stats

from mri_cyclegan.evaluation.statistics import NUM_RESAMPLES, SEED, paired_difference, summary

VALUES = [21.3, 24.0, 19.8, 22.7, 30.1, 23.2, 22.9]


def interval_of_mean(values):
    """The definition, one resample at a time."""
    random = np.random.default_rng(SEED)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(NUM_RESAMPLES)]
    return tuple(np.quantile(means, [0.025, 0.975]))


def test_the_summary_describes_the_sample():
    result = summary(VALUES, higher_is_better=True)
    assert result["mean"] == pytest.approx(sum(VALUES) / 7)
    assert result["sd"] == pytest.approx(stats.tstd(VALUES))
    assert result["median"] == 22.9
    assert result["worst"] == 19.8
    assert summary(VALUES, higher_is_better=False)["worst"] == 30.1


def test_the_same_values_give_the_same_interval():
    assert summary(VALUES, True) == summary(VALUES, True)


def test_the_interval_of_many_subjects_is_the_normal_one():
    values = np.random.default_rng(0).normal(5, 2, 400)
    result = summary(values, True)
    error = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert (result["low"], result["high"]) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.02)


@pytest.mark.parametrize("num_subjects", [2, 3, 1234, 5000])
def test_the_interval_is_the_percentile_bootstrap_whatever_is_drawn_at_a_time(num_subjects):
    values = np.random.default_rng(0).normal(5, 2, num_subjects)
    result = summary(values, True)
    assert (result["low"], result["high"]) == pytest.approx(interval_of_mean(values), abs=1e-12)


def test_thousands_of_subjects_take_little_memory():
    values = np.random.default_rng(0).normal(5, 2, 2000)
    tracemalloc.start()
    summary(values, True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_a_single_subject_has_no_spread_and_no_interval():
    assert summary([0.7], True) == {"mean": 0.7, "sd": None, "median": 0.7, "worst": 0.7, "low": None, "high": None}


def test_equal_subjects_have_an_interval_without_width():
    result = summary([0.3] * 5, True)
    assert (result["sd"], result["low"], result["high"]) == pytest.approx((0, 0.3, 0.3))


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_values_that_are_not_finite_are_refused(values):
    with pytest.raises(AssertionError):
        summary(values, True)
    with pytest.raises(AssertionError):
        paired_difference(values, values)


def test_two_models_are_compared_pairwise():
    a, b = np.array(VALUES), np.array(VALUES) - [0.5, 0.1, -0.2, 0.9, 0.6, 0.4, 0.3]
    result = paired_difference(a, b)
    assert result["mean"] == pytest.approx(2.6 / 7)
    assert (result["low"], result["high"]) == pytest.approx(interval_of_mean(a - b), abs=1e-9)
    assert result["p_value"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert result["num_subjects"] == 7


def test_six_subjects_that_all_gain_have_the_exact_p_value():
    # Of the 2^6 equally likely signs, two are as extreme.
    assert paired_difference([1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0])["p_value"] == pytest.approx(2 / 64)


def test_models_that_do_not_differ_are_not_told_apart():
    assert paired_difference(VALUES, VALUES) == {
        "mean": 0.0,
        "low": 0.0,
        "high": 0.0,
        "p_value": 1.0,
        "num_subjects": 7,
    }


def test_a_single_subject_proves_nothing():
    single = {"mean": 2.0, "low": None, "high": None, "p_value": 1.0, "num_subjects": 1}
    assert paired_difference([3.0], [1.0]) == single


def test_models_on_different_subjects_are_refused():
    with pytest.raises(AssertionError):
        paired_difference([1.0, 2.0], [1.0])
