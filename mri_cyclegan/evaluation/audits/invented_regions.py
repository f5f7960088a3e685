"""Invented regions: does the output show bright spots that the truth does not?

An unpaired generator learns how often its target domain has bright spots, not where, and may put them anywhere.

Reference:
    Cohen et al., "Distribution matching losses can hallucinate features in medical image translation", MICCAI 2018.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np
from scipy import ndimage

from mri_cyclegan.evaluation.audits.audit import Audit, Level
from mri_cyclegan.evaluation.audits.regions import bounding_box, dilate
from mri_cyclegan.evaluation.subjects.images import SubjectImages

NAME = "Invented regions"

# Reduces noise (to a tenth at 1 mm voxels) but keeps spots of the size of a lesion.
SMOOTHING_MM = 1.5

# A border that is blurred or off by a voxel is an error, not an invention: a voxel counts only if it is brighter than
# everything in the truth within this distance.
TOLERANCE_MM = 2.0

# More than gray and white matter differ, and ten times the remaining noise. On T1w, white matter is too close to 1 for
# a spot in it to be brighter by this much.
MIN_EXCESS_INTENSITY = 0.25

# A ball of 5.8 mm diameter: smaller spots are hard to tell from folds that are sharper than the truth's.
MIN_ML = 0.1

# If single voxels are that large, noise alone makes some of them bright.
MIN_NUM_VOXELS = 2

# The output may be brighter within lesions; their masks are accurate to about a voxel or two.
MASK_MARGIN_MM = 2.0

# One region per 5 liters; any head is smaller, so a single region in every head exceeds it (0.07 in a 1400 ml brain).
# It applies to the median subject, so a generator that fails in a few heads is amber, with the worst subject named.
RED_PER_100_ML = 0.02

MEANING = {
    Level.GREEN: "No bright region in the output that is not in the truth.",
    Level.AMBER: "Some outputs show bright regions that the truth does not have. Look at the subject named before you "
    "trust bright spots in any other.",
    Level.RED: "The typical output shows bright regions that the truth does not have. Do not read lesions from it; see "
    "that both training domains hold lesions equally often. Where the contrast is wrong as well, see to that first.",
}


def measure_invented_regions(images: SubjectImages) -> dict[str, Any]:
    """Count regions outside all lesion masks that are brighter than everything nearby in the truth.

    Returns:
        ``subject``, ``num_regions``, ``largest_ml`` (0 if none) and ``searched_ml``, the foreground volume outside the
        masks; ``{}`` without a target or any foreground.
    """
    if images.target is None or not images.foreground.any():
        return {}
    spacing_mm = images.spacing_mm
    box = bounding_box(images.foreground, 3 * SMOOTHING_MM, spacing_mm)
    searched = images.foreground[box]
    if images.lesions is not None:
        searched = searched & ~dilate(images.lesions[box], MASK_MARGIN_MM, spacing_mm)
    output, truth = (_smooth(image[box], spacing_mm) for image in (images.output, images.target))
    nearby = ndimage.maximum_filter(truth, size=_neighborhood(spacing_mm))
    numbers, _ = ndimage.label((output - nearby > MIN_EXCESS_INTENSITY) & searched)
    sizes = np.bincount(numbers.ravel())[1:]
    counted = sizes[sizes >= _min_num_voxels(len(images.output), spacing_mm)]
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return {
        "subject": images.subject,
        "num_regions": len(counted),
        "largest_ml": float(counted.max(initial=0)) * voxel_ml,
        "searched_ml": float(np.count_nonzero(searched)) * voxel_ml,
    }


def assess_invented_regions(measured: Sequence[Mapping[str, Any]], direction: str) -> Audit:
    """Assess the number of invented regions per 100 ml, over the subjects that have pairs.

    Args:
        measured: result of :func:`measure_invented_regions` for each subject.
        direction: ``"ab"`` or ``"ba"``.
    """
    measured = [record for record in measured if record and record["searched_ml"] > 0]
    if not measured:
        return Audit(NAME, direction, Level.UNKNOWN, "no pairs", "Invented regions show only beside the true image.")
    rates = [100 * record["num_regions"] / record["searched_ml"] for record in measured]
    num_regions = sum(record["num_regions"] for record in measured)
    level = Level.RED if median(rates) > RED_PER_100_ML else Level.AMBER if num_regions else Level.GREEN
    worst = max(measured, key=lambda record: (record["num_regions"], record["largest_ml"]))
    figure = f"bright regions: {num_regions}, {fmean(rates):.3f} per 100 ml, subjects: {len(measured)}" + (
        f"; most in {worst['subject']}, {worst['num_regions']}, the largest {worst['largest_ml']:.1f} ml"
        if num_regions
        else ""
    )
    values = {
        "per_100_ml": fmean(rates),
        "median_per_100_ml": median(rates),
        "num_regions": float(num_regions),
        "affected_share": fmean(rate > 0 for rate in rates),
    }
    return Audit(NAME, direction, level, figure, MEANING[level], values)


def _smooth(image: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    sigma = [SMOOTHING_MM / spacing for spacing in spacing_mm]
    return ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3)


def _neighborhood(spacing_mm: Sequence[float]) -> tuple[int, ...]:
    """Size in voxels of the neighborhood within the tolerance; in-plane it always includes the adjacent pixels."""
    reach = [round(TOLERANCE_MM / spacing) for spacing in spacing_mm]
    return tuple(2 * voxels + 1 for voxels in (reach[0], *(max(1, pixels) for pixels in reach[1:])))


def _min_num_voxels(num_slices: int, spacing_mm: Sequence[float]) -> float:
    """Voxels of the smallest region that counts; in a single slice, those of the ball's cross-section."""
    if num_slices > 1:
        return max(MIN_NUM_VOXELS, 1000 * MIN_ML / float(np.prod(spacing_mm)))
    radius_mm = (1000 * MIN_ML * 3 / (4 * math.pi)) ** (1 / 3)
    return max(MIN_NUM_VOXELS, math.pi * radius_mm**2 / (spacing_mm[1] * spacing_mm[2]))
