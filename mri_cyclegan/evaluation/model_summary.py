"""Summarizes an evaluation for the model's description."""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_cyclegan.directions import Direction
from mri_cyclegan.evaluation.evaluated_subjects import describe_subjects
from mri_cyclegan.inference.description import AuditResult, EvaluationSummary


def summary_for_model(content: Mapping[str, Any]) -> EvaluationSummary:
    """Evaluation summary that goes into a model's description.

    Args:
        content: content of ``metrics.json``.
    """
    return EvaluationSummary(
        protocol_version=content["protocol_version"],
        measured_on=measured_on(content),
        method=content["method"],
        means=foreground_means(content),
        audits=tuple(
            AuditResult(**{key: audit[key] for key in ("name", "way", "level", "figure")})
            for audit in content["audits"]
        ),
        verdict=tuple(content["verdict"]),
    )


def foreground_means(content: Mapping[str, Any]) -> dict[Direction, dict[str, dict[str, float | None]]]:
    """Direction → method → metric → foreground mean over the paired subjects."""
    return {
        direction: {
            method: {metric: values["mean"] for metric, values in regions["foreground"].items()}
            for method, regions in of_direction.items()
        }
        for direction, of_direction in content["summary"].items()
        if of_direction
    }


def measured_on(content: Mapping[str, Any]) -> str:
    """Text: number of evaluated subjects, their part of the split, and how many are paired."""
    evaluated, paired = (_names(images) for images in (content["subjects"], entries_with_metrics(content)))
    return f"{describe_subjects(content['part'], evaluated, content['chose_epoch'])}, {len(paired)} with pairs"


def entries_with_metrics(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Entries of ``subjects`` that have a target, hence paired metrics."""
    return [image for image in content["subjects"] if any(of["metrics"] for of in image["ways"].values())]


def _names(images: Sequence[Mapping[str, Any]]) -> set[str]:
    return {image["subject"] for image in images}
