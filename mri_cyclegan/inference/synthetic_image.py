"""Turn translations into images that are marked as synthetic, and record their model and units.

Only the shape and affine of the scan's header are kept, so no patient data is.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import nibabel
import numpy as np

from mri_cyclegan.inference.description import ModelDescription
from mri_cyclegan.inference.scan_translator import Translation

VALUE_RANGES = ("unit", "reference")
PACKAGE = "mri-cyclegan"
NOTICE = "Synthetic image made by a neural network. Not for diagnostic use."

# Size of the header field, terminating zero included.
DESCRIPTION_BYTES = 80

# NIfTI code for "aligned": keeping the scan's own code would claim that a scanner acquired this image.
ALIGNED = 2
MAX_INT16 = np.iinfo(np.int16).max


def synthetic_image(translation: Translation, value_range: str = "unit") -> nibabel.Nifti1Image:
    """Return the translation as a float32 image on the scan's grid.

    Args:
        translation: the translated scan.
        value_range: ``"unit"``: [0, 1]; ``"reference"``: the intensities of the target contrast's training scans.
    """
    low, high = limits(translation, value_range)
    array = translation.array
    if value_range == "reference":
        # Background stays 0, or becomes the head's darkest intensity if that is negative.
        array = np.where(array == 0, np.float32(min(0.0, low)), np.float32(low) + array * np.float32(high - low))
    return _image(array, translation, header_description(translation))


def std_image(translation: Translation, value_range: str = "unit") -> nibabel.Nifti1Image:
    """Standard deviation of the translation over models and views, in the same units, as a float32 image."""
    assert translation.std is not None
    low, high = limits(translation, value_range)
    return _image(
        translation.std * np.float32(high - low), translation, header_description(translation, "SD of the output")
    )


def header_description(translation: Translation, note: str = "not for diagnostic use") -> str:
    """Short description for the header of an image file."""
    origin, target = translation.contrasts
    return f"SYNTHETIC {target} from {origin}, {note}"


def limits(translation: Translation, value_range: str) -> tuple[float, float]:
    """Intensities at the ends of the scale: 0 and 1, or the medians over the target contrast's training scans."""
    if value_range not in VALUE_RANGES:
        raise ValueError(f"value range: expected {' or '.join(VALUE_RANGES)}, got {value_range!r}.")
    if value_range == "unit":
        return 0.0, 1.0
    training = translation.models[0].training.of(translation.direction[1])
    return training.intensity_low, training.intensity_high


def as_int16(image: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """Convert to 16-bit integers with slope and intercept: half the size, off by at most 1/65,534 of the range.

    The intercept is 0, or the smallest value if that is negative, so that a background of 0 stays exact.
    """
    array = np.asanyarray(image.dataobj)
    intercept = min(0.0, float(array.min()))
    slope = (float(array.max()) - intercept) / MAX_INT16 or 1.0
    stored = np.rint((array - intercept) / slope).astype(np.int16)
    header = image.header.copy()
    header.set_data_dtype(np.int16)
    compact = type(image)(stored, image.affine, header)
    compact.header.set_slope_inter(slope, intercept)
    return compact


def sidecar(translation: Translation, source: str, value_range: str) -> dict[str, Any]:
    """Entries of the translation's JSON file, as in a BIDS derivative.

    Args:
        translation: the translation in the image.
        source: path of the scan within its data set, never an absolute path.
        value_range: ``"unit"`` or ``"reference"``.
    """
    low, high = limits(translation, value_range)
    source_contrast, target = translation.contrasts
    return {
        "Description": f"{target} image made from {source_contrast}. {NOTICE}",
        "Synthetic": True,
        "Sources": [source],
        "GeneratedBy": [{"Name": PACKAGE, "Version": version(PACKAGE)}],
        **translation_settings(translation.models, translation.direction, translation.num_outputs, value_range),
        "Intensities": {
            "Low": low,
            "High": high,
            "SourceLow": translation.source_low,
            "SourceHigh": translation.source_high,
            "Normalisation": "0.5th and 99.5th percentile of the source's foreground are the ends of its scale",
        },
        "SliceFlicker": {"Output": translation.output_flicker, "Source": translation.source_flicker},
        "Doubts": list(translation.warnings),
        "UnlikeTraining": list(translation.unlike_training),
    }


def translation_settings(
    models: Sequence[ModelDescription], direction: str, num_outputs: int, value_range: str
) -> dict[str, Any]:
    """Sidecar entries that depend only on the models and settings, not on the scan.

    Args:
        models: descriptions of the models that made the image.
        direction: ``"ab"`` or ``"ba"``.
        num_outputs: number of outputs averaged: models times views.
        value_range: ``"unit"`` or ``"reference"``.
    """
    return {
        "Models": [
            {
                "Experiment": model.training.experiment,
                "WeightsSHA256": model.hashes[direction],
                "CodeVersion": model.code_version,
                "Plane": model.preprocessing.plane,
                "License": model.license,
            }
            for model in models
        ],
        "Direction": direction,
        "MeanOfOutputs": num_outputs,
        "Range": value_range,
    }


def _image(array: np.ndarray, translation: Translation, description: str) -> nibabel.Nifti1Image:
    affine = translation.affine
    kind = nibabel.Nifti1Image if max(array.shape) <= MAX_INT16 else nibabel.Nifti2Image
    image = kind(np.asarray(array, dtype=np.float32), affine)
    image.set_sform(affine, ALIGNED)
    image.set_qform(affine, ALIGNED)
    if not np.allclose(image.get_qform(), affine, rtol=1e-5, atol=1e-4):
        image.set_qform(None, 0)  # a qform cannot express shear
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = description.encode("ascii", "replace")[: DESCRIPTION_BYTES - 1]
    return image
