"""What ``translate`` wrote beside its images: their range, their source, and whether they are spreads.

The JSON files may come from anybody: what is not as expected counts as not there.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.inference.names import is_std, name_of_sidecar
from mri_cyclegan.inference.sidecars import read_json, says_ours
from mri_cyclegan.inference.writer import STD_DESCRIPTION


def own_range(image: Path) -> tuple[float, float] | None:
    """Stored values that mean 0 and 1 on the protocol's scale; None where no sidecar of ours tells."""
    intensities = _sidecar(image).get("Intensities")
    ends = [intensities.get(key) for key in ("Low", "High")] if isinstance(intensities, dict) else []
    low, high = (float(end) if isinstance(end, int | float) else math.nan for end in ends or (None, None))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    # Pictures hold the scale as whole numbers of 16 bits; NIfTI files hold its values.
    unit = np.iinfo(np.uint16).max if image.name.lower().endswith(PICTURE_SUFFIXES) else 1
    return low * unit, high * unit


def own_source(image: Path) -> str | None:
    """The source's path in the folder that was translated; None where no sidecar of ours tells."""
    sources = _sidecar(image).get("Sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], str):
        return None
    return sources[0].removeprefix("bids:raw:")


def is_own_std(image: Path) -> bool:
    """Whether an image is the spread of a translation, by its name, or by its sidecar where the name is the user's."""
    return is_std(image.name) or str(_sidecar(image).get("Description", "")).startswith(STD_DESCRIPTION)


def _sidecar(image: Path) -> dict[str, Any]:
    """Empty where there is none, or where it is not of ``translate``."""
    entries = read_json(image.with_name(name_of_sidecar(image.name)))
    return entries if says_ours(entries) else {}
