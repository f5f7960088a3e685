"""The verdict on a model: how it compares with the reference methods, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_cyclegan.evaluation.baselines import ORACLE
from mri_cyclegan.evaluation.protocol import METRICS

VERDICT_METRICS = ("psnr", "ssim")


def verdict(
    directions: Mapping[str, Sequence[str]], summary: Mapping[str, Any], audits: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Sentences for the top of a report.

    Args:
        directions: direction to source and target contrast.
        summary: direction → method → region → metric → statistics; the judged method comes first.
        audits: audits as plain JSON values.

    Returns:
        One sentence per direction that compares foreground PSNR and SSIM with the reference methods, and one that
        lists the red audits, if any.
    """
    sentences = [
        _direction_sentence(" → ".join(names), summary.get(direction, {})) for direction, names in directions.items()
    ]
    red = sorted({_name(audit, directions) for audit in audits if audit["level"] == "red"})
    if red:
        sentences.append(f"Audits in red: {', '.join(red)}.")
    return sentences


def unbeaten_references(of_direction: Mapping[str, Any]) -> dict[str, list[str]]:
    """Reference methods that the evaluated method does not beat, each with the metrics where it does not.

    Args:
        of_direction: method → region → metric → statistics; the judged method comes first.
    """
    assessed, *references = of_direction
    lost = {
        reference: [
            METRICS[metric].label
            for metric in VERDICT_METRICS
            if _mean(of_direction, assessed, metric) <= _mean(of_direction, reference, metric)
        ]
        for reference in references
        if reference != ORACLE
    }
    return {reference: metrics for reference, metrics in lost.items() if metrics}


def _direction_sentence(name: str, of_direction: Mapping[str, Any]) -> str:
    if not of_direction:
        return f"{name}: no pairs, so the distance from the truth is unknown; see the figures without pairs."
    assessed, *references = of_direction
    lost = unbeaten_references(of_direction)
    beaten = [reference for reference in references if reference != ORACLE and reference not in lost]
    words = [f"below {reference} in {' and '.join(metrics)}" for reference, metrics in lost.items()]
    words += [f"above {_listed(beaten)} in PSNR and SSIM"] if beaten else []
    words += [_beside_oracle(of_direction, assessed)] if ORACLE in references else []
    return f"{name}: {'; '.join(words) or 'measured without a reference'}."


def _beside_oracle(of_direction: Mapping[str, Any], assessed: str) -> str:
    parts = []
    for metric in VERDICT_METRICS:
        difference = _mean(of_direction, assessed, metric) - _mean(of_direction, ORACLE, metric)
        info = METRICS[metric]
        side = "above" if difference > 0 else "below"
        parts.append(f"{info.label} {abs(difference):.{info.digits}f}{' ' + info.unit if info.unit else ''} {side}")
    return f"{' and '.join(parts)} the voxel-wise oracle"


def _mean(of_direction: Mapping[str, Any], method: str, metric: str) -> float:
    return of_direction[method]["foreground"][metric]["mean"]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _name(audit: Mapping[str, Any], directions: Mapping[str, Sequence[str]]) -> str:
    name = str(audit["name"]).lower()
    return name if audit["way"] is None else f"{name} ({' → '.join(directions[audit['way']])})"
