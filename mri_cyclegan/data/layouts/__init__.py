"""Layouts of data sets: which files are scans, with their contrasts and subjects."""

from mri_cyclegan.data.formats.registry import strip_suffix
from mri_cyclegan.data.layouts.bids import is_bids
from mri_cyclegan.data.layouts.contrast_names import contrast_named, names_contrast, strip_contrast
from mri_cyclegan.data.layouts.finding import find_scans, require_both_contrasts
from mri_cyclegan.data.layouts.scan import Found, Scan
from mri_cyclegan.data.layouts.settings import LAYOUTS, LayoutSettings

__all__ = [
    "LAYOUTS",
    "Found",
    "LayoutSettings",
    "Scan",
    "contrast_named",
    "find_scans",
    "is_bids",
    "names_contrast",
    "require_both_contrasts",
    "strip_contrast",
    "strip_suffix",
]
