"""Registration: are source and truth aligned? If not, every paired metric measures the misalignment."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mri_cyclegan.data.foreground import dice
from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.subjects.images import SubjectImages

# T1w and T2w foregrounds of one registered head have a Dice of 0.95 to 0.99; a brain shifted by 5 mm, about 0.93.
AMBER_DICE = 0.93
RED_DICE = 0.85


def measure_registration(images: SubjectImages) -> dict[str, Any]:
    """Dice overlap of the source and target foregrounds, in [0, 1]; ``{}`` unless both exist."""
    if images.target is None or images.source_foreground is None:
        return {}
    source, target = images.source_foreground, images.foreground
    if images.covered is not None:
        source = source & images.covered
    return {"subject": images.subject, "dice": dice(source, target)}


def assess_registration(measured: Sequence[dict[str, Any]], direction: str) -> Audit:
    """Assess one direction by its worst subject."""
    measured = [one for one in measured if one]
    if not measured:
        reason = "It needs both the source and the truth of a person."
        return Audit("Registration", direction, Level.UNKNOWN, "not measured", reason)
    worst = min(measured, key=lambda one: one["dice"])
    mean = float(np.mean([one["dice"] for one in measured]))
    level = Level.RED if worst["dice"] < RED_DICE else Level.AMBER if worst["dice"] < AMBER_DICE else Level.GREEN
    meaning = {
        Level.GREEN: "Source and truth show the head in the same place.",
        Level.AMBER: "Some truths may lie beside their sources. Look at the worst subject, and register it if so.",
        Level.RED: "Source and truth are not registered: paired figures measure that, not the model. Register them.",
    }[level]
    figure = f"heads overlap by {mean:.3f} (Dice), worst {worst['dice']:.3f} in {worst['subject']}"
    return Audit("Registration", direction, level, figure, meaning, {"dice": mean, "worst_dice": worst["dice"]})
