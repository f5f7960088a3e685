"""Lesions: does the output still show the lesions of the truth, with the same contrast?

Unpaired training matches the look of a domain, not the content of a scan: where the target domain has fewer lesions
than the source domain, removing them makes the output look more real; where it has more, exaggerating them does.

Reference:
    Cohen et al., "Distribution matching losses can hallucinate features in medical image translation", MICCAI 2018.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from scipy import ndimage

from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.audits.regions import bounding_box, dilate, expand_box
from mri_cyclegan.evaluation.subjects.images import SubjectImages

NAME = "Lesions"

# Wide enough to average the tissue around a lesion, narrow enough to stay in that tissue.
RING_MM = 3.0

# The standard deviation of fewer voxels is meaningless.
MIN_RING_VOXELS = 4

# Rounding noise of an 8-bit image, a lower bound for real images; avoids division by 0 for noise-free synthetic ones.
MIN_NOISE = 1 / 255 / 12**0.5

# A lesion that differs by less than the noise around it is not visible in the truth either.
VISIBLE_CNR = 1.0

# At less than half its contrast a clear lesion is faint; a reversed sign is below this, too.
LOST_BELOW = 0.5

# Twice is as wrong as half. The excess contrast alone would be visible as a lesion: neither noise nor sharper edges
# explain it.
EXAGGERATED_ABOVE = 2.0

# Single lesions vary with the noise, their median does not: 1.5 times the contrast is a bias of the model.
AMBER_MEDIAN = 1.5

# Up to a tenth, the smallest lesions, may be lost to blur; a study would notice a larger loss.
AMBER_LOST = 0.1

# With most lesions lost or exaggerated, the others say little about the subject's disease.
RED_SHARE = 0.5

ADVICE = "see that both training domains hold lesions, and equally often."
MEANING = {
    Level.GREEN: "Lesions of the truth show in the output, with half to twice their contrast.",
    Level.AMBER: "Some lesions of the truth are missing, faint or exaggerated in the output. Do not count or measure "
    f"lesions in it; {ADVICE}",
    Level.RED: "Most lesions of the truth are missing, faint or exaggerated in the output. Do not use it where lesions "
    f"matter; {ADVICE}",
}


def measure_lesions(images: SubjectImages) -> dict[str, Any]:
    """Contrast-to-noise ratio of each lesion against a ring of tissue around it, in truth and output.

    Both use the standard deviation of the truth's ring as noise; the output's own would favor smooth outputs.

    Returns:
        ``subject`` and ``lesions``, a list with the volume ``ml`` and the ``truth`` and ``output`` ratio of each, or
        None without a mask; ``{}`` without a target.
    """
    if images.target is None:
        return {}
    if images.lesions is None or not images.lesions.any():
        return {"subject": images.subject, "lesions": None if images.lesions is None else []}
    reach_mm = _ring_width_mm(images.spacing_mm)
    box = bounding_box(images.lesions, reach_mm, images.spacing_mm)
    numbers, _ = ndimage.label(images.lesions[box], np.ones((3, 3, 3)))
    tissue = images.foreground[box] & (numbers == 0)
    pictures = {"truth": images.target[box], "output": images.output[box]}
    lesions = []
    for number, own in enumerate(ndimage.find_objects(numbers), start=1):
        around = expand_box(own, reach_mm, images.spacing_mm)
        inside = numbers[around] == number
        ring = dilate(inside, reach_mm, images.spacing_mm) & tissue[around]
        if np.count_nonzero(ring) >= MIN_RING_VOXELS:
            ratios = _contrast_to_noise({name: picture[around] for name, picture in pictures.items()}, inside, ring)
            lesions.append({"ml": _volume_ml(inside, images.spacing_mm), **ratios})
    return {"subject": images.subject, "lesions": lesions}


def assess_lesions(measured: Sequence[Mapping[str, Any]], direction: str) -> Audit:
    """Assess how many of the lesions visible in the truth are lost or exaggerated in the output.

    Args:
        measured: result of :func:`measure_lesions` for each subject.
        direction: ``"ab"`` or ``"ba"``.
    """
    paired = [record for record in measured if record]
    masked = [record for record in paired if record["lesions"] is not None]
    kept = [_contrast_ratios(record["lesions"]) for record in masked]
    shares = [share for of_pair in kept for share in of_pair]
    if not shares:
        figure = "no visible lesions" if masked else "no mask given" if paired else "no pairs"
        reason = "It needs pairs with a lesion mask (docs/protocol.md, Audits), and lesions that the truth shows."
        return Audit(NAME, direction, Level.UNKNOWN, figure, reason)
    lost, exaggerated = sum(map(_is_lost, shares)), sum(map(_is_exaggerated, shares))
    level = _level(lost, exaggerated, shares)
    counts = f"{lost} of {len(shares)} lesions lost, {exaggerated} exaggerated"
    parts = [f"{counts}, median contrast kept {median(shares):.0%}", *_worst(kept, masked)]
    if len(masked) < len(paired):
        parts.append(f"pairs without a mask: {len(paired) - len(masked)}")
    values = {
        "lost_share": lost / len(shares),
        "exaggerated_share": exaggerated / len(shares),
        "num_lesions": float(len(shares)),
        "median_kept": median(shares),
    }
    return Audit(NAME, direction, level, "; ".join(parts), MEANING[level], values)


def _level(lost: int, exaggerated: int, shares: Sequence[float]) -> Level:
    if lost + exaggerated > RED_SHARE * len(shares):
        return Level.RED
    is_amber = lost > AMBER_LOST * len(shares) or exaggerated or median(shares) > AMBER_MEDIAN
    return Level.AMBER if is_amber else Level.GREEN


def _worst(kept: Sequence[Sequence[float]], pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Text that names the subject with the most lost or exaggerated lesions; an empty list if there are none."""
    changed = [sum(_is_lost(share) or _is_exaggerated(share) for share in of_pair) for of_pair in kept]
    worst = int(np.argmax(changed))
    return [f"most in {pairs[worst]['subject']}, {changed[worst]} of {len(kept[worst])}"] if changed[worst] else []


def _is_lost(share: float) -> bool:
    return share < LOST_BELOW


def _is_exaggerated(share: float) -> bool:
    return share > EXAGGERATED_ABOVE


def _ring_width_mm(spacing_mm: Sequence[float]) -> float:
    """Width of the ring around a lesion, at least one in-plane pixel."""
    return max(RING_MM, *spacing_mm[1:])


def _volume_ml(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    return float(np.count_nonzero(mask) * np.prod(spacing_mm) / 1000)


def _contrast_to_noise(pictures: Mapping[str, np.ndarray], inside: np.ndarray, ring: np.ndarray) -> dict[str, float]:
    noise = max(float(pictures["truth"][ring].std(dtype=np.float64)), MIN_NOISE)
    return {
        name: float(picture[inside].mean(dtype=np.float64) - picture[ring].mean(dtype=np.float64)) / noise
        for name, picture in pictures.items()
    }


def _contrast_ratios(lesions: Sequence[Mapping[str, float]]) -> list[float]:
    """Contrast in the output over contrast in the truth, for each lesion visible in the truth."""
    return [one["output"] / one["truth"] for one in lesions if abs(one["truth"]) >= VISIBLE_CNR]
