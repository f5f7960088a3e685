"""The report's table of results: the model beside the baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mri_cyclegan.evaluation.baselines import ORACLE
from mri_cyclegan.evaluation.report.tables import number


@dataclass(frozen=True)
class Cell:
    """A mean over subjects.

    Attributes:
        mean: as text.
        interval: its 95 % bootstrap interval; empty for a single subject.
        is_best: whether it is the best of the trivial baselines.
    """

    mean: str
    interval: str
    is_best: bool


@dataclass(frozen=True)
class Row:
    """A method.

    Attributes:
        method: its name.
        kind: ``"model"``, ``"baseline"`` or ``"oracle"``.
        cells: one a metric.
    """

    method: str
    kind: str
    cells: list[Cell]


@dataclass(frozen=True)
class Gain:
    """How far the model is from the best trivial baseline.

    Attributes:
        difference: of the means, with its sign.
        word: ``"better"``, ``"worse"`` or ``"equal"``.
    """

    difference: str
    word: str


def results(evaluation: Mapping[str, Any], direction: str, region: str) -> list[Row]:
    """The model and the baselines, in the order of the summary; empty without pairs."""
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
    """The model's mean minus that of the best trivial baseline, one a metric; empty where there is nothing to compare.

    The best baseline may be another one for each metric.
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
        shown.append(Gain(number(difference, about["digits"], signed=True), word))
    return shown


def _cell(summary: Mapping[str, float | None], digits: int, is_best: bool) -> Cell:
    mean, low, high = (number(summary[key], digits) for key in ("mean", "low", "high"))
    return Cell(mean, "" if summary["low"] is None else f"{low} to {high}", is_best)


def _best_baselines(evaluation: Mapping[str, Any], direction: str, region: str) -> dict[str, str]:
    """Metric to the trivial baseline with the best mean; empty without such baselines."""
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
    # The oracle sees the truth: it says what can be reached, and is no baseline to beat.
    return "oracle" if method == ORACLE else "baseline"
