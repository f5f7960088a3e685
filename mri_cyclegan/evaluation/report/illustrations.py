"""The figures of the report, with their titles, text alternatives and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from mri_cyclegan.evaluation.protocol import WHY_TRAINING_METRICS_DIFFER
from mri_cyclegan.evaluation.report.figures import bias_and_limit, bland_altman, box_plot, calibration_curve, svg_uri
from mri_cyclegan.evaluation.report.tables import format_number, subject_measurements
from mri_cyclegan.pictures import learning_curves


@dataclass(frozen=True)
class Illustration:
    """A figure on the page.

    Attributes:
        title: title of the figure.
        uri: the picture, as a data URI.
        alt: text alternative, for readers who do not see the picture.
        note: text below the picture; may be empty.
    """

    title: str
    uri: str
    alt: str
    note: str = ""


def distributions_illustration(evaluation: Mapping[str, Any], direction: str) -> list[Illustration]:
    """One box plot per metric over the foreground: the model and the baselines, with one point per subject."""
    shown = []
    for metric, about in evaluation["metrics"].items():
        if values := _values(evaluation, direction, metric):
            label = about["label"] + (f" ({about['unit']})" if about["unit"] else "")
            better = "higher" if about["higher_is_better"] else "lower"
            alt = f"Box plot of {label}, {better} is better. " + _describe_medians(values, about["digits"])
            shown.append(Illustration(label, svg_uri(box_plot(values, f"{label}, {better} is better")), alt))
    return shown


def bland_altman_illustration(evaluation: Mapping[str, Any], direction: str) -> Illustration | None:
    """Bland–Altman plot of the tissues' mean intensities; None without tissue labels."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for measured in subject_measurements(evaluation, direction):
        for tissue, means in measured.get("tissues", {}).items():
            pairs.setdefault(tissue, []).append((means["target"], means["output"]))
    if not pairs:
        return None
    words = []
    for tissue, values in pairs.items():
        bias, limit = bias_and_limit(np.array([output - target for target, output in values]))
        ends = [] if limit is None else [format_number(end, 3, signed=True) for end in (bias - limit, bias + limit)]
        words.append(
            f"{tissue} {format_number(bias, 3, signed=True)} ({' to '.join(ends) or 'one subject: no limits'})"
        )
    note = "Bias and 95 % limits of agreement: " + "; ".join(words) + "."
    alt = f"Bland–Altman plot of mean tissue intensities, output minus truth. {note}"
    return Illustration("Tissue intensities, Bland–Altman", svg_uri(bland_altman(pairs)), alt, note)


def calibration_illustration(evaluation: Mapping[str, Any], direction: str) -> Illustration | None:
    """Error against estimated uncertainty; None if no uncertainty was measured."""
    measured = (evaluation["uncertainty"] or {}).get(direction)
    if not measured:
        return None
    points = measured["calibration"]
    first, last = points[0], points[-1]
    alt = (
        f"Calibration curve of {len(points)} bins: where the uncertainty is {first['spread']:.3f} the mean absolute "
        f"error is {first['error']:.3f}; where it is {last['spread']:.3f} the error is {last['error']:.3f}."
    )
    note = (
        f"Uncertainty from {evaluation['uncertainty']['kind']}; its rank correlation with the error is "
        f"{format_number(measured['spearman'], 2)}."
    )
    return Illustration("Uncertainty against error", svg_uri(calibration_curve(points)), alt, note)


def learning_curves_illustration(history: Sequence[Mapping[str, float]]) -> Illustration | None:
    """Losses and validation metrics by epoch; None without a history."""
    if not history:
        return None
    words = [
        f"{name.removeprefix('val/')} from {values[0]:.3f} to {values[-1]:.3f}"
        for name in ("val/psnr_ab", "val/psnr_ba", "val/ssim_ab", "val/ssim_ba")
        if (values := [row[name] for row in history if name in row])
    ]
    alt = f"Losses and validation metrics over {len(history)} epochs. " + "; ".join(words)
    note = WHY_TRAINING_METRICS_DIFFER if words else ""
    return Illustration("Learning curves", svg_uri(learning_curves(history, {})), alt, note)


def _values(evaluation: Mapping[str, Any], direction: str, metric: str) -> dict[str, list[float]]:
    """Method to one metric of each paired subject, over the foreground; empty without pairs."""
    paired = [measured["metrics"] for measured in subject_measurements(evaluation, direction) if measured["metrics"]]
    return {
        method: [metrics[method]["foreground"][metric] for metrics in paired]
        for method in evaluation["summary"][direction]
    }


def _describe_medians(values: Mapping[str, Sequence[float]], digits: int) -> str:
    words = [
        f"{method}: median {format_number(median(numbers), digits)}, "
        f"from {format_number(min(numbers), digits)} to {format_number(max(numbers), digits)}"
        for method, numbers in values.items()
    ]
    return "; ".join(words) + "."
