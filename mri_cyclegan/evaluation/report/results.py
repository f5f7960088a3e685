"""The report's table of results: the model and the baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mri_cyclegan.evaluation.baselines import ORACLE
from mri_cyclegan.evaluation.report.tables import format_number


@dataclass(frozen=True)
class Stratum:
    """One metric of one method, averaged over subjects.

    Attributes:
        mean: the mean, as text.
        interval: 95 % bootstrap interval of the mean; empty for a single subject.
        is_best: whether the method is the best trivial baseline.
    """

    mean: str
    interval: str
    is_best: bool


@dataclass(frozen=True)
class Row:
    """One method's row of the table.

    Attributes:
        method: name of the method.
        kind: ``"model"``, ``"baseline"`` or ``"oracle"``.
        cells: one per metric.
    """

    method: str
    kind: str
    cells: list[Stratum]


@dataclass(frozen=True)
class Gain:
    """Difference between the model and the best trivial baseline in one metric.

    Attributes:
        difference: signed difference of the means, as text.
        word: ``"better"``, ``"worse"`` or ``"equal"``.
    """

    difference: str
    word: str


def results(evaluation: Mapping[str, Any], direction: str, region: str) -> list[Row]:
    """One row per method, in the order of the summary; empty without pairs."""
    best = _best_baselines(evaluation, direction, region)
    rows = []
    for method in evaluation["summary"][direction]:
        if region not in evaluation["summary"][direction][method]:
            continue
        summary = evaluation["summary"][direction][method][region]
        cells = [
            _cell(summary[metric], about["digits"], best.get(metric) == method)
            for metric, about in evaluation["metrics"].items()
        ]
        rows.append(Row(method, _kind(evaluation, method), cells))
    return rows


def gains(evaluation: Mapping[str, Any], direction: str, region: str) -> list[Gain]:
    """The model's mean minus that of the best trivial baseline, per metric; empty without such baselines.

    The best baseline may differ between metrics.
    """
    shown = []
    for metric, best in _best_baselines(evaluation, direction, region).items():
        about = evaluation["metrics"][metric]
        model, baseline = (
            _mean(evaluation, direction, method, region, metric) for method in (evaluation["method"], best)
        )
        difference = round(model - baseline, about["digits"])
        gain = difference if about["higher_is_better"] else -difference
        word = "better" if gain > 0 else "worse" if gain < 0 else "equal"
        shown.append(Gain(format_number(difference, about["digits"], signed=True), word))
    return shown


def _cell(summary: Mapping[str, float | None], digits: int, is_best: bool) -> Stratum:
    mean, low, high = (format_number(summary[key], digits) for key in ("mean", "low", "high"))
    return Stratum(mean, "" if summary["low"] is None else f"{low} to {high}", is_best)


def _best_baselines(evaluation: Mapping[str, Any], direction: str, region: str) -> dict[str, str]:
    """Metric to the trivial baseline with the best mean; empty without trivial baselines."""
    trivial = [method for method in evaluation["summary"][direction] if _kind(evaluation, method) == "baseline"]
    best = {}
    for metric, about in evaluation["metrics"].items():
        means = {method: _mean(evaluation, direction, method, region, metric) for method in trivial}
        if means:
            best[metric] = (max if about["higher_is_better"] else min)(means, key=means.__getitem__)
    return best


def _mean(evaluation: Mapping[str, Any], direction: str, method: str, region: str, metric: str) -> float:
    return float(evaluation["summary"][direction][method][region][metric]["mean"])


def _kind(evaluation: Mapping[str, Any], method: str) -> str:
    if method == evaluation["method"]:
        return "model"
    # The oracle uses the truth: it shows what is achievable and is not a baseline to beat.
    return "oracle" if method == ORACLE else "baseline"
