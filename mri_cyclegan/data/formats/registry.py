"""All scan formats: each is a module that reads it plus one line here, or an entry point of another package."""

from pathlib import Path

from mri_cyclegan.data.formats.dicom import read_series, series_files, series_shape
from mri_cyclegan.data.formats.format import Format
from mri_cyclegan.data.formats.mgh import MGH_SUFFIXES, mgh_shape, read_mgh
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES, nifti_shape, read_nifti
from mri_cyclegan.data.formats.nifti_pair import HEADER_SUFFIXES, PAIR_SUFFIXES, pair_files, pair_shape, read_pair
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES, picture_shape, read_picture
from mri_cyclegan.plugins import load_plugins

FORMATS = (
    Format("NIfTI", NIFTI_SUFFIXES, read_nifti, nifti_shape),
    Format("NIfTI pair", PAIR_SUFFIXES, read_pair, pair_shape, companions=HEADER_SUFFIXES, source_files=pair_files),
    Format("FreeSurfer", MGH_SUFFIXES, read_mgh, mgh_shape),
    Format("picture", PICTURE_SUFFIXES, read_picture, picture_shape, is_picture=True),
    *load_plugins("formats", Format).values(),
)
DICOM_SERIES = Format("DICOM", (), read_series, series_shape, source_files=series_files)

VOLUME_SUFFIXES = tuple(suffix for format_ in FORMATS if not format_.is_picture for suffix in format_.suffixes)
IMAGE_SUFFIXES = (*VOLUME_SUFFIXES, *PICTURE_SUFFIXES)


def format_of(path: Path) -> Format | None:
    """Return the format of a file, by its name, or of a folder; None if it is not supported."""
    return format_named(path.name) or (DICOM_SERIES if path.is_dir() else None)


def format_named(name: str) -> Format | None:
    """Return the format of a file with this name; None if it is not supported."""
    return next(
        (format_ for format_ in FORMATS if name.lower().endswith((*format_.suffixes, *format_.companions))), None
    )


def source_files(path: Path) -> list[Path]:
    """List all files of a scan: one file, header and voxels, or a DICOM series.

    Raises:
        UnfitFile: one of them is missing.
    """
    found = format_of(path)
    return [path] if found is None else found.source_files(path)


def strip_suffix(name: str) -> str:
    """Return an image file's name without its suffix.

    >>> strip_suffix("sub-07_T1w.NII.gz"), strip_suffix("sub-07_T1w.img"), strip_suffix("notes.txt")
    ('sub-07_T1w', 'sub-07_T1w', 'notes.txt')
    """
    endings = (suffix for format_ in FORMATS for suffix in (*format_.suffixes, *format_.companions))
    lengths = [len(suffix) for suffix in endings if name.lower().endswith(suffix)]
    return name[: -max(lengths)] if lengths else name
