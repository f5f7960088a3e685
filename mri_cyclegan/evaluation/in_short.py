"""An evaluation in a few lines: for the model's description."""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_cyclegan.inference.description import AuditResult, EvaluationSummary, Way


def summary_for_model(content: Mapping[str, Any]) -> EvaluationSummary:
    """What a model's description says of an evaluation.

    Args:
        content: of ``metrics.json``.
    """
    return EvaluationSummary(
        protocol_version=content["protocol_version"],
        measured_on=measured_on(content),
        method=content["method"],
        means=foreground_means(content),
        audits=tuple(
            AuditResult(**{key: audit[key] for key in AuditResult.model_fields}) for audit in content["audits"]
        ),
        verdict=tuple(content["verdict"]),
    )


def foreground_means(content: Mapping[str, Any]) -> dict[Way, dict[str, dict[str, float | None]]]:
    """Direction → method → metric → mean over the subjects that have pairs, in the foreground."""
    return {
        way: {
            method: {metric: values["mean"] for metric, values in regions["foreground"].items()}
            for method, regions in of_way.items()
        }
        for way, of_way in content["summary"].items()
        if of_way
    }


def measured_on(content: Mapping[str, Any]) -> str:
    """How many subjects of which part, in words."""
    counts = _num_subjects(content["subjects"]), _num_subjects(paired_images(content))
    return f"{counts[0]} {content['part']} subjects, {counts[1]} with pairs"


def paired_images(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those images of subjects that have a truth."""
    return [image for image in content["subjects"] if any(of["metrics"] for of in image["ways"].values())]


def _num_subjects(images: Sequence[Mapping[str, Any]]) -> int:
    return len({image["subject"] for image in images})
