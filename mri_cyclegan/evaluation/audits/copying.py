"""Copying: the output is closer to its source than to the target domain.

A generator that returns its source satisfies cycle consistency and identity perfectly, and its outputs look like
flawless scans, but in the wrong contrast.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from mri_cyclegan.data.histograms import wasserstein
from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.subjects.images import SubjectImages

NAME = "Copying"

# Distance to the source over distance to the target domain, both in units of intensity. An identity generator has 0;
# up to 1, the output is no closer to the target domain than to its source.
RED_RATIO = 1.0

# Blends of source and truth on the phantom: half of each has a ratio of 1.1 to 1.2, one third source a ratio of 2.
AMBER_RATIO = 2.0

MEANING = {
    Level.GREEN: "The output has left the intensities of its source and taken those of the target domain.",
    Level.AMBER: "The output keeps much of its source. Compare the pictures; a lower model.lambda_identity or "
    "model.lambda_cycle, or a longer training, lets the generator go further.",
    Level.RED: "The output is closer to the picture it was made from than to the contrast it should have: the "
    "generator copies. Lower model.lambda_identity and model.lambda_cycle, or train longer; do not use this direction.",
}


def measure_copying(images: SubjectImages) -> dict[str, Any]:
    """Mean absolute difference between the output and its source.

    Returns:
        ``subject`` and ``to_source``, the difference over the foreground, in [0, 1]; ``{}`` without a source or any
        foreground.
    """
    if images.source is None or not images.foreground.any():
        return {}
    difference = images.output[images.foreground] - images.source[images.foreground]
    return {"subject": images.subject, "to_source": float(np.abs(difference).mean(dtype=np.float64))}


def assess_copying(
    measured: Sequence[Mapping[str, Any]],
    output_histograms: Sequence[Sequence[float] | np.ndarray | None],
    target_domain_histogram: Sequence[float] | np.ndarray | None,
    direction: str,
) -> Audit:
    """Compare the outputs' distance to their sources with their distance to the target domain.

    Args:
        measured: result of :func:`measure_copying` for each subject.
        output_histograms: foreground histogram of each subject's output, see
            :func:`mri_cyclegan.data.histograms.histogram`; ignored for a subject without a measurement.
        target_domain_histogram: histogram of the target domain's real images; None if there are none.
        direction: ``"ab"`` or ``"ba"``.
    """
    if target_domain_histogram is None or not any(measured):
        missing = "real images of the target contrast" if target_domain_histogram is None else "the sources"
        return Audit(NAME, direction, Level.UNKNOWN, "not measured", f"It needs {missing} to compare the outputs with.")
    domain = np.asarray(target_domain_histogram, dtype=np.float64)
    distances = [
        (record["subject"], record["to_source"], wasserstein(np.asarray(histogram, dtype=np.float64), domain))
        for record, histogram in zip(measured, output_histograms, strict=True)
        if record
    ]
    subjects, to_source, to_domain = zip(*distances, strict=True)
    values = {"to_source": fmean(to_source), "to_domain": fmean(to_domain)}
    level = _level(**values)
    worst = int(np.argmin(np.subtract(to_source, to_domain)))
    figure = (
        f"{values['to_source']:.3f} from the source, {values['to_domain']:.3f} from the target domain; "
        f"most like its source: {subjects[worst]}, {to_source[worst]:.3f} and {to_domain[worst]:.3f}"
    )
    return Audit(NAME, direction, level, figure, MEANING[level], values)


def _level(to_source: float, to_domain: float) -> Level:
    # <= rather than <, so that a copy is red even if both domains have the same histogram.
    if to_source <= RED_RATIO * to_domain:
        return Level.RED
    return Level.AMBER if to_source < AMBER_RATIO * to_domain else Level.GREEN
