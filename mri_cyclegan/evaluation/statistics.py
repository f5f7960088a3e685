"""Summary statistics and paired tests over subjects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

NUM_RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 0

# Values drawn at a time, to limit memory to a few MB for any number of subjects.
CHUNK = 2**18


def summary(values: Sequence[float], higher_is_better: bool) -> dict[str, float | None]:
    """Summarize a metric over subjects.

    Args:
        values: one per subject, finite, at least one.
        higher_is_better: whether the worst value is the smallest.

    Returns:
        ``mean``; ``sd``, with Bessel's correction; ``median``; ``worst``; ``low`` and ``high``, the ends of the 95 %
        bootstrap interval of the mean. ``sd``, ``low`` and ``high`` are None for a single subject.
    """
    array = _finite(values)
    low, high = _interval_of_mean(array)
    return {
        "mean": float(array.mean()),
        "sd": float(array.std(ddof=1)) if len(array) > 1 else None,
        "median": float(np.median(array)),
        "worst": float(array.min() if higher_is_better else array.max()),
        "low": low,
        "high": high,
    }


def paired_difference(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Compare two models on the same subjects.

    Args:
        a: a metric of the first model, one value per subject, finite, at least one.
        b: the same metric of the second model, in the same order.

    Returns:
        ``mean`` of a − b; ``low`` and ``high``, the ends of its 95 % bootstrap interval, None for a single subject;
        ``p_value`` of the two-sided Wilcoxon signed-rank test, 1 if all differences are 0; ``num_subjects``.

    Reference:
        Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1945.
    """
    assert len(a) == len(b)
    differences = _finite(a) - _finite(b)
    low, high = _interval_of_mean(differences)
    return {
        "mean": float(differences.mean()),
        "low": low,
        "high": high,
        # The test is undefined if all differences are 0.
        "p_value": float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0,
        "num_subjects": len(differences),
    }


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    assert array.size > 0
    assert np.isfinite(array).all(), f"not finite: {array}"
    return array


def _interval_of_mean(values: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """Percentile bootstrap interval of the mean with a fixed seed; (None, None) for a single value.

    Reference:
        Efron and Tibshirani, "An introduction to the bootstrap", 1993, section 13.3.
    """
    if len(values) < 2:
        return None, None
    interval = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=NUM_RESAMPLES,
        batch=max(1, CHUNK // len(values)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(interval.low), float(interval.high)
