"""Contrast: are the output's tissues as bright as the truth's, and in the same order of brightness?

Swapped tissue intensities close the cycle as well as correct ones, so unpaired training can settle on an inverted
contrast with a perfect loss.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from scipy import stats

from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.audits.levels import highest_level, level_above
from mri_cyclegan.evaluation.subjects.images import SubjectImages

NAME = "Contrast"

NUM_QUANTILES = 10

# At or below 0 the order is no better than random: the contrast is inverted or missing.
RED_CORRELATION = 0.0

# Swapping two of three tissues gives 0.5; a mean of 0.8 is such a swap in two of five subjects.
AMBER_CORRELATION = 0.8

# A global intensity error of 15 % is a drift of 0.07 to 0.1; gray and white matter differ by 0.14 to 0.2.
AMBER_DRIFT = 0.07

# A constant image has a drift of 0.12 to 0.18: tissue means that are this wrong carry no information.
RED_DRIFT = 0.15

MEANING = {
    Level.GREEN: "Bright and dark are where they should be, and as bright and dark as they should be.",
    Level.AMBER: "Some intensities are shifted or out of order. Do not compare the output's intensities with real "
    "scans before you know which; where tissues are labeled, compare their means. A longer training may help.",
    Level.RED: "The output's intensities are wrong: inverted, without contrast, or far off. Do not use this direction. "
    "Raise model.lambda_identity, or try another seed.",
}


def measure_contrast(images: SubjectImages) -> dict[str, Any]:
    """Mean intensity of each voxel class in target and output.

    Classes are the labeled tissues or, without labels, ten quantile bins of the target's foreground.

    Returns:
        ``subject``, ``kind`` (``"tissues"`` or ``"quantiles"``) and ``classes``, name to ``target`` and ``output``, in
        [0, 1]; ``{}`` without a target or if no voxel has a class.
    """
    if images.target is None:
        return {}
    if images.tissues is not None:
        kind, labels, names = "tissues", images.tissues, dict(images.tissue_names)
        classes = _class_means(labels, images.target, images.output)
    else:
        kind, target = "quantiles", images.target[images.foreground]
        step = 100 // NUM_QUANTILES
        names = {number: f"{step * (number - 1)}–{step * number} %" for number in range(1, NUM_QUANTILES + 1)}
        classes = _class_means(_quantile_bins(target), target, images.output[images.foreground])
    if not classes:
        return {}
    named = {names.get(label, str(label)): means for label, means in classes.items()}
    return {"subject": images.subject, "kind": kind, "classes": named}


def assess_contrast(measured: Sequence[Mapping[str, Any]], direction: str) -> Audit:
    """Assess the rank correlation of class means within subjects, and their drift.

    The correlation is computed per subject and averaged: a pooled one would also reflect that one subject's images are
    brighter than another's, which drift measures.

    Args:
        measured: result of :func:`measure_contrast` for each subject.
        direction: ``"ab"`` or ``"ba"``.
    """
    measured = [record for record in measured if record and len(record["classes"]) > 1]
    if not measured:
        reason = "It needs pairs whose targets have at least two classes of intensity."
        return Audit(NAME, direction, Level.UNKNOWN, "not measured", reason)
    correlations = [_rank_correlation(record["classes"]) for record in measured]
    correlation, worst = fmean(correlations), int(np.argmin(correlations))
    drift = fmean(abs(means["output"] - means["target"]) for r in measured for means in r["classes"].values())
    level = highest_level(_level_of_correlation(correlation), level_above(drift, AMBER_DRIFT, RED_DRIFT))
    kinds = " and ".join(sorted({record["kind"] for record in measured}))
    lowest = f"lowest: {measured[worst]['subject']}, {correlations[worst]:.2f}"
    figure = f"rank correlation of {kinds} {correlation:.2f} ({lowest}), mean drift {drift:.3f}"
    return Audit(NAME, direction, level, figure, MEANING[level], {"rank_correlation": correlation, "drift": drift})


def _quantile_bins(values: np.ndarray) -> np.ndarray:
    """Bin of each value, 1 to 10; if many values are equal, some bins stay empty."""
    edges = np.quantile(values, np.arange(1, NUM_QUANTILES) / NUM_QUANTILES) if values.size else []
    return np.searchsorted(edges, values, side="right") + 1


def _class_means(labels: np.ndarray, target: np.ndarray, output: np.ndarray) -> dict[int, dict[str, float]]:
    """Mean intensities by label; voxels of label 0 are ignored."""
    chosen = labels > 0
    labels, target, output = labels[chosen].astype(np.intp), target[chosen], output[chosen]
    counts = np.bincount(labels)
    sums = {"target": np.bincount(labels, target), "output": np.bincount(labels, output)}
    return {
        int(label): {name: float(total[label] / counts[label]) for name, total in sums.items()}
        for label in np.flatnonzero(counts)
    }


def _rank_correlation(classes: Mapping[str, Mapping[str, float]]) -> float:
    """Spearman's rank correlation of target and output means; 0 if either has no contrast (all means equal)."""
    target, output = np.array([(means["target"], means["output"]) for means in classes.values()]).T
    if np.ptp(target) == 0 or np.ptp(output) == 0:
        return 0.0
    return float(stats.spearmanr(target, output).statistic)


def _level_of_correlation(correlation: float) -> Level:
    if correlation <= RED_CORRELATION:
        return Level.RED
    return Level.AMBER if correlation < AMBER_CORRELATION else Level.GREEN
