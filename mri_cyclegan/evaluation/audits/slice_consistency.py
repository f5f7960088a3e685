"""Slice consistency: do neighboring slices of the output differ as much as those of real volumes?

Slices are translated one by one. Spurious changes from slice to slice show as flicker in the other planes; an output
without the noise and fine structure of real scans changes too little.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.subjects.images import SubjectImages

NAME = "Slice consistency"

# Limit for the ratio and its inverse. On the phantom, a brightness that varies by 5 % from slice to slice gives 1.2
# to 1.3, an in-plane blur of one voxel 0.7.
GREEN_RATIO = 1.25

# A brightness that varies by 10 % gives 1.5 to 1.8, a blur of 1.5 voxels 0.6: both are obvious to the eye.
AMBER_RATIO = 1.5

SMOOTH = {
    Level.AMBER: "Neighboring slices differ less than real ones: the output is smoother, or has less noise or "
    "contrast, than real scans. Fine detail may be missing.",
    Level.RED: "Neighboring slices differ much less than real ones: the output lacks detail or contrast of real "
    "scans. Look for blur, and for a generator that gives every slice the same picture.",
}
FLICKER = {
    Level.AMBER: "Neighboring slices differ more than real ones: the output flickers or is noisy in the other planes. "
    "Try data.num_adjacent_slices=1.",
    Level.RED: "Neighboring slices differ much more than real ones: the output flickers or is noisy, and is no volume "
    "to measure in. Try data.num_adjacent_slices=1, or train longer.",
}


def mean_slice_difference(volume: np.ndarray, foreground: np.ndarray) -> float | None:
    """Mean absolute difference of neighboring slices, over voxels that are foreground in both.

    Args:
        volume: (N, H, W), in [0, 1].
        foreground: (N, H, W) bool.

    Returns:
        In [0, 1]; None if no two neighboring slices have foreground in common.
    """
    both = foreground[1:] & foreground[:-1]
    if not both.any():
        return None
    return float(np.abs(volume[1:] - volume[:-1])[both].mean(dtype=np.float64))


def measure_slice_consistency(images: SubjectImages) -> dict[str, Any]:
    """Mean difference of neighboring slices of one subject.

    Returns:
        ``subject``, ``output`` and ``target`` (None without a pair), see :func:`mean_slice_difference`, and
        ``num_slices``; ``{}`` if no two neighboring slices have foreground in common.
    """
    output = mean_slice_difference(images.output, images.foreground)
    if output is None:
        return {}
    target = None if images.target is None else mean_slice_difference(images.target, images.foreground)
    return {"subject": images.subject, "output": output, "target": target, "num_slices": len(images.output)}


def assess_slice_consistency(
    measured: Sequence[Mapping[str, Any]], direction: str, domain_differences: Sequence[float] = ()
) -> Audit:
    """Compare outputs with their targets or, without any pair, with real volumes of the target domain.

    Args:
        measured: result of :func:`measure_slice_consistency` for each subject.
        direction: ``"ab"`` or ``"ba"``.
        domain_differences: :func:`mean_slice_difference` of real volumes of the target contrast, with the same distance
            between slices; used when no subject has a target.
    """
    measured = [record for record in measured if record]
    paired = [record for record in measured if record["target"] is not None]
    targets = [record["target"] for record in paired] or list(domain_differences)
    if not measured or not targets:
        missing = "Real volumes of the target contrast are" if measured else "Volumes of at least two slices are"
        return Audit(NAME, direction, Level.UNKNOWN, "not measured", f"{missing} needed.")
    if not fmean(targets):
        return Audit(
            NAME, direction, Level.UNKNOWN, "real slices do not differ", "Check the scans of the target contrast."
        )
    assessed = paired or measured
    ratio = fmean(record["output"] for record in assessed) / fmean(targets)
    level, meaning = _assessment(ratio)
    worst = _describe_worst_subject(assessed, fmean(targets))
    figure = f"neighboring slices differ {ratio:.2f} times as much as real ones; {worst}"
    return Audit(NAME, direction, level, figure, meaning, {"ratio": ratio})


def _describe_worst_subject(assessed: Sequence[Mapping[str, Any]], mean_target: float) -> str:
    """Text that names the subject whose ratio is farthest from 1."""
    ratios = [(record["output"] / (record["target"] or mean_target), record["subject"]) for record in assessed]
    ratio, subject = max(ratios, key=lambda pair: _deviation_from_one(pair[0]))
    return f"farthest from 1: {subject}, {ratio:.2f}"


def _deviation_from_one(ratio: float) -> float:
    return max(ratio, 1 / ratio) if ratio > 0 else float("inf")


def _assessment(ratio: float) -> tuple[Level, str]:
    if _deviation_from_one(ratio) <= GREEN_RATIO:
        return Level.GREEN, "Neighboring slices of the output fit each other as real ones do."
    level = Level.AMBER if _deviation_from_one(ratio) <= AMBER_RATIO else Level.RED
    return level, (SMOOTH if ratio < 1 else FLICKER)[level]
