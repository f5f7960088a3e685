"""Whether the spread of an ensemble's outputs predicts their error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

NUM_BINS = 10
MAX_VOXELS = 100_000
SEED = 0


def measure_uncertainty(std: np.ndarray, error: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Compare spread and error at 100,000 random voxels of a mask, or at all if it has fewer.

    Args:
        std: (N, H, W), standard deviation of the output over an ensemble, in units of intensity.
        error: (N, H, W), output − target, or its magnitude.
        mask: (N, H, W) bool, at least 10 voxels.

    Returns:
        ``spearman``, rank correlation of spread and |error|, in [-1, 1], 0 if either is constant; ``calibration``,
        ten bins of equally many voxels by increasing spread, each with its mean ``spread``, its mean absolute ``error``
        and its ``share`` of the voxels. If the spread predicts the error, both increase together.
    """
    std, error = std[mask], np.abs(error[mask])
    assert std.size >= NUM_BINS
    # In random order, so that voxels of equal spread are assigned to bins at random, not by position in the head.
    chosen = np.random.default_rng(SEED).permutation(std.size)[:MAX_VOXELS]
    std, error = std[chosen].astype(np.float64), error[chosen].astype(np.float64)
    bins = np.array_split(np.argsort(std, kind="stable"), NUM_BINS)
    return {
        "spearman": _rank_correlation(std, error),
        "calibration": [_calibration_bin(std, error, voxels) for voxels in bins],
    }


def pooled_uncertainty(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean over subjects of the results of :func:`measure_uncertainty`, bin by bin, with the same keys."""
    tables = [record["calibration"] for record in records]
    return {
        "spearman": float(np.mean([record["spearman"] for record in records])),
        "calibration": [
            {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} for rows in zip(*tables, strict=True)
        ],
    }


def _rank_correlation(std: np.ndarray, error: np.ndarray) -> float:
    if np.ptp(std) == 0 or np.ptp(error) == 0:
        return 0.0
    return float(stats.spearmanr(std, error).statistic)


def _calibration_bin(std: np.ndarray, error: np.ndarray, voxels: np.ndarray) -> dict[str, float]:
    return {
        "spread": float(std[voxels].mean()),
        "error": float(error[voxels].mean()),
        "share": len(voxels) / len(std),
    }
