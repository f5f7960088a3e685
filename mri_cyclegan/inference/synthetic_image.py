"""Translations as images that say what they are: synthetic, from which model, in which units.

Nothing of the scan's header is carried over but its shape and its affine, so nothing of the patient is.
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

# As much as the header field holds, a closing zero included.
DESCRIPTION_BYTES = 80

# "Aligned to something": the scan's own code would claim that a scanner made this.
ALIGNED = 2
MAX_INT16 = np.iinfo(np.int16).max


def synthetic_image(translation: Translation, value_range: str = "unit") -> nibabel.Nifti1Image:
    """The translation as a float32 image on the scan's grid.

    Args:
        translation: what a model made.
        value_range: ``"unit"``: [0, 1]; ``"reference"``: the intensities of the target contrast's training scans.
    """
    low, high = limits(translation, value_range)
    array = translation.array
    if value_range == "reference":
        # Background is 0 there too, or the darkest of the head where that is darker.
        array = np.where(array == 0, np.float32(min(0.0, low)), np.float32(low) + array * np.float32(high - low))
    return _image(array, translation, description_of(translation))


def std_image(translation: Translation, value_range: str = "unit") -> nibabel.Nifti1Image:
    """Standard deviation of the translation over models and views, in the same units, as a float32 image."""
    assert translation.std is not None
    low, high = limits(translation, value_range)
    return _image(
        translation.std * np.float32(high - low), translation, description_of(translation, "SD of the output")
    )


def description_of(translation: Translation, note: str = "not for diagnostic use") -> str:
    """What a file says of itself where it has room for a few words."""
    origin, target = translation.contrasts
    return f"SYNTHETIC {target} from {origin}, {note}"


def limits(translation: Translation, value_range: str) -> tuple[float, float]:
    """Intensities of the ends of the scale: 0 and 1, or the medians over the training scans of the target contrast."""
    if value_range not in VALUE_RANGES:
        raise ValueError(f"value range: expected {' or '.join(VALUE_RANGES)}, got {value_range!r}.")
    if value_range == "unit":
        return 0.0, 1.0
    training = translation.models[0].training.of(translation.direction[1])
    return training.intensity_low, training.intensity_high


def as_int16(image: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """The image as 16-bit integers with slope and intercept, to be saved: half the size, 1/65,534 of the range off.

    The intercept is 0, or the smallest value where that is below, so that background stays exact where it is 0.
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
    """What the header has no room for: entries of a BIDS derivative's JSON file.

    Args:
        translation: what the image shows.
        source: the scan's place in its data set; never a path of this machine.
        value_range: of the image.
    """
    low, high = limits(translation, value_range)
    source_contrast, target = translation.contrasts
    return {
        "Description": f"{target} image made from {source_contrast}. {NOTICE}",
        "Synthetic": True,
        "Sources": [source],
        "GeneratedBy": [{"Name": PACKAGE, "Version": version(PACKAGE)}],
        **recipe(translation.models, translation.direction, translation.num_outputs, value_range),
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


def recipe(models: Sequence[ModelDescription], direction: str, num_outputs: int, value_range: str) -> dict[str, Any]:
    """Entries of the sidecar that a scan does not change: equal where models and settings are.

    Args:
        models: that made the image.
        direction: ``"ab"`` or ``"ba"``.
        num_outputs: whose mean it is: models times views.
        value_range: of the image.
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
        image.set_qform(None, 0)  # it cannot express sheared voxels
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = description.encode("ascii", "replace")[: DESCRIPTION_BYTES - 1]
    return image
