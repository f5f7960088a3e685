"""Reads a folder of DICOM MR images, as scanners and archives write them, into one volume.

Series of single-frame images are read directly; dcm2niix converts all others.
"""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.dicom_checks import check_image, is_enhanced
from mri_cyclegan.data.formats.dicom_conversion import convert_series
from mri_cyclegan.data.formats.dicom_files import series_files
from mri_cyclegan.data.formats.dicom_image import ImageHeader, read_header, stored_values
from mri_cyclegan.data.formats.dicom_placement import MultipleVolumes, place_slices
from mri_cyclegan.data.volume import MAX_VOXELS, ReadOptions, Volume


class _Stack(NamedTuple):
    """Single-frame images in slice order, and their affine."""

    headers: list[ImageHeader]
    affine: np.ndarray
    warnings: list[Finding]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        return self.headers[0].integer("Columns"), self.headers[0].integer("Rows"), len(self.headers)


def series_shape(folder: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return the shape and affine of :func:`read_series`, from the headers alone unless dcm2niix must convert.

    Raises:
        UnfitFile: as in :func:`read_series`, for problems visible in the headers.
    """
    found = _stack_or_convert(folder, options)
    return (found.shape if isinstance(found, _Stack) else found.array.shape), found.affine


def read_series(folder: Path, options: ReadOptions) -> Volume:
    """Read one series of MR images.

    Args:
        folder: holds the files; its subfolders are not searched.
        options: ``series_uids`` chooses one of several series in the folder, ``volume_index`` one of several images in
            a series, such as echoes.

    Returns:
        Volume with axes (column, row, slice), slices sorted along the normal of the image plane. Intensities are
        RescaleSlope * stored value + RescaleIntercept, per image. Output of dcm2niix is returned unchanged.

    Raises:
        UnfitFile: a file is broken, or the images do not make up one volume; the message says which and what to do.

    Reference:
        DICOM PS3.3, C.7.6.2 (image plane) and C.7.6.3 (image pixels).
    """
    found = _stack_or_convert(folder, options)
    if not isinstance(found, _Stack):
        return found
    array = np.empty(found.shape[::-1], np.float32)
    for image, header in zip(array, found.headers, strict=True):
        (slope,), (intercept,) = header.numbers["RescaleSlope"], header.numbers["RescaleIntercept"]
        image[...] = stored_values(header) * slope + intercept
    return Volume(array.T, found.affine, tuple(found.warnings))


def _stack_or_convert(folder: Path, options: ReadOptions) -> _Stack | Volume:
    """Read one series of the folder: checked images in slice order, or a volume if dcm2niix has to convert them."""
    paths = series_files(folder)
    if not paths:
        remedy = "Expected files marked DICM at byte 128 or named .dcm or .ima, in this folder itself."
        raise UnfitFile(folder, "no DICOM files", remedy)
    headers = _one_series(folder, [read_header(path) for path in paths], options.series_uids)
    if all(map(is_enhanced, headers)):
        return convert_series(folder, headers, options)
    try:
        return _stack(folder, headers)
    except MultipleVolumes as reason:
        return convert_series(folder, headers, options, reason)


def _stack(folder: Path, headers: list[ImageHeader]) -> _Stack:
    for header in headers:
        check_image(header)
        _check_same_geometry(header, headers[0])
    num_voxels = headers[0].integer("Rows") * headers[0].integer("Columns") * len(headers)
    if num_voxels > MAX_VOXELS:
        raise UnfitFile(folder, f"{num_voxels} voxels; expected {MAX_VOXELS} at most", "Crop or resample the series.")
    headers, affine, warnings = place_slices(folder, headers)
    warnings += _count_warnings(folder, headers)
    if any(header.texts["LossyImageCompression"] == ("01",) for header in headers):
        remedy = "Use the originals if they exist."
        warnings.append(Finding("warning", folder, "its images were compressed with loss", remedy))
    return _Stack(headers, affine, warnings)


def _count_warnings(folder: Path, headers: list[ImageHeader]) -> list[Finding]:
    """Warn if the scanner recorded a different number of images: slices missing at an end leave no gap."""
    acquisitions = {header.texts["AcquisitionNumber"]: header.numbers["ImagesInAcquisition"] for header in headers}
    counts = [sum(count) for count in acquisitions.values()]
    if min(counts) > 0 and sum(counts) != len(headers):
        problem = f"{len(headers)} images, but ImagesInAcquisition says {sum(counts):g}"
        remedy = "Slices at an end may be missing: compare with the source, and copy the series again."
        return [Finding("warning", folder, problem, remedy)]
    return []


def _one_series(folder: Path, headers: list[ImageHeader], chosen_uids: tuple[str, ...]) -> list[ImageHeader]:
    series = defaultdict(list)
    for header in headers:
        series["".join(header.texts["SeriesInstanceUID"])].append(header)
    chosen = sorted(set(series) & set(chosen_uids)) if len(series) > 1 else list(series)
    if len(chosen) == 1:
        return series[chosen[0]]
    listing = "; ".join(
        f"{uid} (images: {len(images)}, {' '.join(images[0].texts['SeriesDescription'])[:64]!r})"
        for uid, images in series.items()
    )
    problem = f"{len(series)} series in one folder, of which data.series_uids names {len(chosen)}: {listing}"
    raise UnfitFile(folder, problem, "Name one in data.series_uids=[…], or move each into a folder of its own.")


def _check_same_geometry(header: ImageHeader, first: ImageHeader) -> None:
    for keyword in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        values, expected = header.numbers[keyword], first.numbers[keyword]
        if not np.allclose(values, expected, rtol=0, atol=1e-3):
            found, wanted = (", ".join(f"{value:g}" for value in numbers) for numbers in (values, expected))
            hint = " (a localizer?)" if keyword == "ImageOrientationPatient" else ""
            problem = f"{keyword} is {found}, but {wanted} in {first.path.name} of the same series{hint}"
            raise UnfitFile(header.path, problem, "Leave it out, or move images unlike the others into another folder.")
