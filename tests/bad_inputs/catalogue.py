"""Every doubtful input that the specification lists, as a small data set that is sound but for it."""

from bad_inputs.affine_cases import AFFINES
from bad_inputs.dicom_cases import SERIES
from bad_inputs.folder_cases import CLOSED, COPIES, INCOMPLETE, LINKS, NAMES, SPLITS
from bad_inputs.intensity_cases import INTENSITIES
from bad_inputs.nifti_cases import BROKEN, SHAPES, TOO_LARGE
from bad_inputs.other_format_cases import OTHER_FORMATS
from bad_inputs.picture_cases import PICTURES

CASES = [
    *BROKEN,
    *TOO_LARGE,
    *SHAPES,
    *INTENSITIES,
    *AFFINES,
    *PICTURES,
    *OTHER_FORMATS,
    *SERIES,
    *INCOMPLETE,
    *COPIES,
    *LINKS,
    *CLOSED,
    *NAMES,
    *SPLITS,
]
