"""Reads the sidecars that ``translate`` writes: intensity range, source, and whether an image is a std map.

Sidecars are untrusted: an entry that is not as expected counts as missing.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.inference.names import is_std, name_of_sidecar
from mri_cyclegan.inference.sidecars import is_generated, read_json
from mri_cyclegan.inference.writer import STD_DESCRIPTION


def sidecar_range(image: Path) -> tuple[float, float] | None:
    """Stored values that map to 0 and 1 on the protocol's scale; None unless a sidecar of ``translate`` has them."""
    intensities = _sidecar(image).get("Intensities")
    ends = [intensities.get(key) for key in ("Low", "High")] if isinstance(intensities, dict) else []
    low, high = (float(end) if isinstance(end, int | float) else math.nan for end in ends or (None, None))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    # Pictures store the scale as 16-bit integers; NIfTI files store its values.
    unit = np.iinfo(np.uint16).max if image.name.lower().endswith(PICTURE_SUFFIXES) else 1
    return low * unit, high * unit


def sidecar_source(image: Path) -> str | None:
    """The source's path relative to the translated folder; None unless a sidecar of ``translate`` has it."""
    sources = _sidecar(image).get("Sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], str):
        return None
    return sources[0].removeprefix("bids:raw:")


def is_std_map(image: Path) -> bool:
    """Whether an image is the std map of a translation, by its name, or by its sidecar if the user named the file."""
    return is_std(image.name) or str(_sidecar(image).get("Description", "")).startswith(STD_DESCRIPTION)


def _sidecar(image: Path) -> dict[str, Any]:
    """Content of an image's sidecar; empty if there is none or ``translate`` did not write it."""
    entries = read_json(image.with_name(name_of_sidecar(image.name)))
    return entries if is_generated(entries) else {}
