"""Measures one subject's images as plain JSON values, which are later aggregated over the data set."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mri_cyclegan.data.histograms import histogram
from mri_cyclegan.evaluation.audits.contrast import measure_contrast
from mri_cyclegan.evaluation.audits.copying import measure_copying
from mri_cyclegan.evaluation.audits.invented_regions import measure_invented_regions
from mri_cyclegan.evaluation.audits.lesions import measure_lesions
from mri_cyclegan.evaluation.audits.registration import measure_registration
from mri_cyclegan.evaluation.audits.slice_consistency import mean_slice_difference, measure_slice_consistency
from mri_cyclegan.evaluation.baselines import ORACLE
from mri_cyclegan.evaluation.metrics.local_similarity import num_scales
from mri_cyclegan.evaluation.metrics.paired import measure_paired
from mri_cyclegan.evaluation.metrics.spectrum import radial_power_spectrum
from mri_cyclegan.evaluation.metrics.uncertainty import measure_uncertainty
from mri_cyclegan.evaluation.report.cases import slice_strips
from mri_cyclegan.evaluation.subjects.images import SubjectImages

AUDITS = {
    "copying": measure_copying,
    "slice_consistency": measure_slice_consistency,
    "contrast": measure_contrast,
    "lesions": measure_lesions,
    "invented_regions": measure_invented_regions,
    "registration": measure_registration,
}


def measure_direction(images: SubjectImages, predictions: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Measure one direction of one subject.

    Args:
        images: the model's output and the images it is compared with.
        predictions: method to its prediction, (N, H, W) in [0, 1]; the model comes first.

    Returns:
        ``metrics`` (method → region → metric → value; empty without a target), ``num_scales`` of MS-SSIM, ``output``
        (see :func:`image_statistics`), ``audits``, ``tissues`` (class to mean of ``target`` and ``output``),
        ``uncertainty`` (None without ``std`` and target), ``slice_numbers``, and ``slices``, encoded pictures for the
        report.
    """
    audits = {name: measure(images) for name, measure in AUDITS.items()}
    numbers, strips = slice_strips(images)
    return {
        "metrics": _metrics(images, predictions),
        "num_scales": num_scales(images.output.shape[1:]),
        "output": image_statistics(images.output, images.foreground, images.spacing_mm),
        "audits": audits,
        "tissues": audits["contrast"]["classes"] if audits["contrast"].get("kind") == "tissues" else {},
        "uncertainty": _uncertainty(images),
        "slice_numbers": numbers,
        "slices": strips,
    }


def image_statistics(
    array: np.ndarray, foreground: np.ndarray, spacing_mm: tuple[float, float, float]
) -> dict[str, list[float] | float | None]:
    """Statistics of a single image, real or generated, for unpaired comparison.

    Args:
        array: (N, H, W), in [0, 1].
        foreground: (N, H, W) bool.
        spacing_mm: spacing of slices, rows and columns.

    Returns:
        ``histogram``; ``spectrum``, see :mod:`mri_cyclegan.evaluation.metrics.spectrum`; ``slice_difference``, mean
        absolute difference between adjacent slices, None for a single slice.
    """
    return {
        "histogram": np.round(histogram(array[foreground]), 7).tolist(),
        "spectrum": radial_power_spectrum(array, spacing_mm, foreground).tolist(),
        "slice_difference": mean_slice_difference(array, foreground),
    }


def _metrics(images: SubjectImages, predictions: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if images.target is None:
        return {}
    whole = np.ones_like(images.foreground) if images.covered is None else images.covered
    regions = {"foreground": images.foreground, "whole": whole}
    # Outside its field of view the target is 0. Set predictions to 0 there too, so that SSIM windows across the border
    # see no error.
    predictions = {method: np.where(whole, image, 0) for method, image in predictions.items()}
    values = measure_paired(predictions, images.target, regions)
    values.get(ORACLE, {}).pop("whole", None)  # fitted on foreground voxels only
    return values


def _uncertainty(images: SubjectImages) -> dict[str, Any] | None:
    if images.std is None or images.target is None:
        return None
    return measure_uncertainty(images.std, images.output - images.target, images.foreground)
