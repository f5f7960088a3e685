"""The evaluation as one self-contained page, ``report.html``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mri_cyclegan.evaluation.audits.audit import Level, legend
from mri_cyclegan.evaluation.baselines import COPY
from mri_cyclegan.evaluation.evaluated_subjects import describe_subjects
from mri_cyclegan.evaluation.report.cases import MAX_ERROR, Case, error_colors
from mri_cyclegan.evaluation.report.illustrations import (
    bland_altman_illustration,
    calibration_illustration,
    distributions_illustration,
    learning_curves_illustration,
)
from mri_cyclegan.evaluation.report.results import gains, results
from mri_cyclegan.evaluation.report.tables import (
    flatten,
    format_number,
    pairing_note,
    scales_note,
    sorted_audits,
    subject_measurements,
)
from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.html import environment


def write_report(
    path: Path,
    evaluation: Mapping[str, Any],
    cases: Mapping[str, Sequence[Case]],
    history: Sequence[Mapping[str, float]],
) -> None:
    """Write the page atomically; it loads no other file or web resource.

    Args:
        path: path of the file; its folder must exist.
        evaluation: content of ``metrics.json``.
        cases: direction to the subjects to show.
        history: ``epoch`` and the values of ``loss/…`` and ``val/…`` per epoch; empty without a training run.
    """
    directions = list(evaluation["directions"])
    names = [subject["subject"] for subject in evaluation["subjects"]]
    pages = environment()
    pages.filters["number"] = format_number
    page = pages.get_template("report.html").render(
        evaluation=evaluation,
        created=datetime.fromisoformat(evaluation["created"]),
        names={direction: " → ".join(contrasts) for direction, contrasts in evaluation["directions"].items()},
        results={
            direction: {region: results(evaluation, direction, region) for region in ("foreground", "whole")}
            for direction in directions
        },
        num_paired={
            direction: sum(bool(one["metrics"]) for one in subject_measurements(evaluation, direction))
            for direction in directions
        },
        evaluated=describe_subjects(evaluation["part"], names, evaluation["chose_epoch"]),
        gains={direction: gains(evaluation, direction, "foreground") for direction in directions},
        scales_note=scales_note(evaluation),
        pairing_note=pairing_note(evaluation),
        audits=sorted_audits(evaluation),
        levels=list(reversed(Level)),
        legend=legend(),
        cases=cases,
        panels={
            direction: [_panel_titles(evaluation, direction, case) for case in cases[direction]] for direction in cases
        },
        error_colors=error_colors(),
        max_error=MAX_ERROR,
        distributions={direction: distributions_illustration(evaluation, direction) for direction in directions},
        agreement={direction: bland_altman_illustration(evaluation, direction) for direction in directions},
        calibration={direction: calibration_illustration(evaluation, direction) for direction in directions},
        learning=learning_curves_illustration(history),
        provenance=flatten(evaluation["provenance"]),
    )
    atomic_write_text(path, page)


def _panel_titles(evaluation: Mapping[str, Any], direction: str, case: Case) -> list[str]:
    """Titles of the panels in the case's pictures, from left to right."""
    source, target = evaluation["directions"][direction]
    is_paired = case.ssim is not None
    # Predictions of another program may come without sources; then the copy baseline is missing, too.
    has_source = not is_paired or COPY in evaluation["summary"][direction]
    shown = [f"source {source}"] * has_source + [f"output {target}"]
    return shown + [f"true {target}", "error"] * is_paired
