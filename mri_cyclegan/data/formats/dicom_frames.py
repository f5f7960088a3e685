"""Voxel grid of a series according to its headers, to check the output of dcm2niix against."""

import io
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.dicom_checks import check_enhanced_multiframe, check_geometry, is_enhanced
from mri_cyclegan.data.formats.dicom_image import EXPORT, ImageHeader, open_dicom
from mri_cyclegan.data.formats.dicom_placement import SAME_PLACE_MM, even_step, image_axes, stack_affine

# Functional group to the tag in it that describes a frame's geometry.
FRAME_GEOMETRY_TAGS = {
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelMeasuresSequence": "PixelSpacing",
}

# Limit for a whole series, including echoes and repetitions; a compressed file can claim any number.
MAX_SERIES_VOXELS = 2**30


class Grid(NamedTuple):
    """Voxel grid that each image of a series should have.

    Attributes:
        shape: columns, rows and slice positions along the normal.
        affine: voxel indices to RAS+ mm, (4, 4).
        num_images: number of slices of all images together.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    num_images: int


def grid_of(folder: Path, headers: list[ImageHeader]) -> Grid:
    """Return the common grid of a series, which must have the same number of images at each slice position.

    Raises:
        UnfitFile: a file is broken, images differ in size or geometry, or one is missing at a slice position.
    """
    for header in headers:
        if is_enhanced(header):
            check_enhanced_multiframe(header)
    rows, columns = headers[0].integer("Rows"), headers[0].integer("Columns")
    num_voxels = sum(header.integer("NumberOfFrames") for header in headers) * rows * columns
    if num_voxels > MAX_SERIES_VOXELS:
        problem = f"{num_voxels:,} voxels; at most {MAX_SERIES_VOXELS:,} are converted"
        raise UnfitFile(folder, problem, "Crop or split the series.")
    images = [frame for header in headers for frame in _frames_of(header)]
    for keyword in ("Rows", "Columns", "ImageOrientationPatient", "PixelSpacing"):
        if np.ptp([image.numbers[keyword] for image in images], axis=0).max() > 1e-3:
            raise UnfitFile(folder, f"{keyword} differs between its images", "Convert what belongs together by itself.")
    positions = np.array([image.numbers["ImagePositionPatient"] for image in images])
    axes, normal = image_axes(images[0].numbers["ImageOrientationPatient"])
    positions = positions[np.argsort(positions @ normal, kind="stable")]
    starts = np.flatnonzero(np.diff(positions @ normal, prepend=-np.inf) >= SAME_PLACE_MM)
    counts = np.diff([*starts, len(positions)])
    if counts.min() != counts.max():
        problem = f"{counts.min()} to {counts.max()} images at each of {len(starts)} places"
        raise UnfitFile(folder, problem, f"Images may be missing: copy the series again. {EXPORT}")
    places = positions[starts]
    step = even_step(folder, places, normal)[0] if len(places) > 1 else normal
    affine = stack_affine(axes, images[0].numbers["PixelSpacing"], step, places[0])
    return Grid((columns, rows, len(places)), affine, len(positions))


def _frames_of(header: ImageHeader) -> list[ImageHeader]:
    """Return one header per frame, as if each frame were a separate image."""
    if not is_enhanced(header):
        return [header]
    with open_dicom(header.path) as file:
        places = _read_frame_geometry(file)
    count = header.integer("NumberOfFrames")
    if len(places) != count:
        raise UnfitFile(header.path, f"{count} frames, but the places of {len(places)}", EXPORT)
    frames = [replace(header, numbers={**header.numbers, **place}) for place in places]
    for frame in frames:
        check_geometry(frame)
    return frames


def _read_frame_geometry(file: io.BufferedReader) -> list[dict[str, tuple[float, ...]]]:
    """Read each frame's geometry tags from its own functional groups, or else from the shared ones."""
    from pydicom import dcmread

    groups = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
    dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(groups))
    shared, frames = dataset[groups[0]].value[0], dataset[groups[1]].value
    return [
        {
            keyword: tuple(map(float, (frame if sequence in frame else shared)[sequence][0][keyword].value))
            for sequence, keyword in FRAME_GEOMETRY_TAGS.items()
        }
        for frame in frames
    ]
