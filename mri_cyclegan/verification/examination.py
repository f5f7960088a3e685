"""Examination of one scan: whether it is usable, and what it shows."""

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from mri_cyclegan.data.findings import EmptyScan, Finding, ImageWarning, UnfitFile
from mri_cyclegan.data.foreground import find_foreground
from mri_cyclegan.data.integrity import voxel_hash
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions, Volume

# World axes in the order of a canonical (RAS+) array, and the axis normal to each plane.
AXES = ("left-right", "posterior-anterior", "inferior-superior")
NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}

PERCENTILES = (0.5, 25, 50, 75, 99.5)
NUM_HEIGHTS = 20
NUM_BINS = 48

# Facts are measured on a subsampled grid: the outline of the head needs no more detail.
COARSE_SIDE = 128
THUMBNAIL_PIXELS = 112


@dataclass(frozen=True)
class ScanMeasurements:
    """Measurements of one scan; triples follow :data:`AXES` unless stated otherwise.

    Attributes:
        shape: shape of the stored array, in its own axis order.
        spacing_mm: voxel size of the stored array, in its own axis order.
        orientation: axis codes of the stored array, such as ``RAS``.
        canonical_shape: shape of the array reoriented to RAS+.
        canonical_spacing_mm: voxel size of the array reoriented to RAS+.
        field_of_view_mm: extent of the whole image.
        head_low_mm: lower end of the foreground, relative to the center of the field of view.
        head_high_mm: upper end of the foreground, relative to the same center.
        head_is_cut: whether the foreground touches a border of the field of view.
        percentiles: foreground intensities at :data:`PERCENTILES`.
        histogram: foreground voxel counts in :data:`NUM_BINS` equal bins from the lowest to the highest intensity.
        intensity_range: lowest and highest intensity.
        foreground_profile: plane to the foreground share at :data:`NUM_HEIGHTS` equally spaced heights, from the first
            to the last slice of that plane that shows the head.
        affine: rows of the stored array's (4, 4) affine.
        voxel_hash: see :func:`mri_cyclegan.data.integrity.voxel_hash`.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    orientation: str
    canonical_shape: tuple[int, ...]
    canonical_spacing_mm: tuple[float, ...]
    field_of_view_mm: tuple[float, ...]
    head_low_mm: tuple[float, ...]
    head_high_mm: tuple[float, ...]
    head_is_cut: tuple[bool, ...]
    percentiles: tuple[float, ...]
    histogram: tuple[int, ...]
    intensity_range: tuple[float, float]
    foreground_profile: dict[str, tuple[float, ...]]
    affine: list[list[float]]
    voxel_hash: str

    @property
    def head_mm(self) -> tuple[float, ...]:
        """Extent of the foreground along :data:`AXES`."""
        return tuple(high - low for low, high in zip(self.head_low_mm, self.head_high_mm, strict=True))


@dataclass(frozen=True)
class ScanExamination:
    """Result of :func:`examine`.

    Attributes:
        scan: the examined scan.
        findings: errors and warnings.
        facts: measurements of the scan; None if it is unfit.
        thumbnail: middle slices of the three planes side by side, as a WebP data URI; empty if unfit.
    """

    scan: Scan
    findings: list[Finding] = field(default_factory=list)
    facts: ScanMeasurements | None = None
    thumbnail: str = ""


def examine(scan: Scan, options: ReadOptions) -> ScanExamination:
    """Read and describe a scan in full; problems with it become findings, never exceptions."""
    try:
        volume = read_volume(scan.path, options)
        facts, picture, warnings = _describe(volume)
    except UnfitFile as error:
        return ScanExamination(scan, [error.finding])
    except MemoryError:
        problem, remedy = "does not fit into memory", "Crop or resample it, or use a larger machine."
        return ScanExamination(scan, [Finding("error", scan.path, problem, remedy)])
    except ValueError as error:
        return ScanExamination(scan, [EmptyScan(scan.path, str(error), "It is left out.").finding])
    return ScanExamination(scan, [*volume.warnings, *(warning.of(scan.path) for warning in warnings)], facts, picture)


def _describe(volume: Volume) -> tuple[ScanMeasurements, str, tuple[ImageWarning, ...]]:
    found = find_foreground(volume.array)
    array, spacing = _canonical(volume, found.array)
    mask, _ = _canonical(volume, found.mask)
    steps = tuple(max(1, -(-size // COARSE_SIDE)) for size in array.shape)
    coarse, head = (image[tuple(slice(None, None, step) for step in steps)] for image in (array, mask))
    if not head.any():
        is_constant = array.min() == array.max()
        raise ValueError("all voxels have the same value" if is_constant else "it shows nothing but its background")
    low, high, cut = _bounds(head, np.array(array.shape), np.array(steps), spacing)
    percentiles = np.percentile(coarse[head], PERCENTILES)
    lowest, highest = float(volume.array.min()), float(volume.array.max())
    facts = ScanMeasurements(
        shape=volume.array.shape,
        spacing_mm=volume.spacing_mm,
        orientation="".join(nibabel.aff2axcodes(volume.affine)),
        canonical_shape=array.shape,
        canonical_spacing_mm=tuple(map(float, spacing)),
        field_of_view_mm=tuple(map(float, spacing * array.shape)),
        head_low_mm=low,
        head_high_mm=high,
        head_is_cut=cut,
        percentiles=tuple(map(float, percentiles)),
        histogram=tuple(map(int, np.histogram(coarse[head], NUM_BINS, (lowest, highest))[0])),
        intensity_range=(lowest, highest),
        foreground_profile={plane: _profile(head, axis) for plane, axis in NORMAL_AXIS.items()},
        affine=volume.affine.tolist(),
        voxel_hash=voxel_hash(volume),
    )
    middle = [int(step * np.flatnonzero(_shows_head_along(head, axis)).mean()) for axis, step in enumerate(steps)]
    window = min(max(0.0, lowest), float(percentiles[0])), float(percentiles[-1])
    return facts, _thumbnail(array, spacing, middle, window), found.warnings


def _canonical(volume: Volume, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reorient an image on the volume's grid to RAS+; returns it and its voxel size along each axis."""
    orientation = nibabel.io_orientation(volume.affine)
    array = nibabel.apply_orientation(image, orientation)
    spacing = np.empty(3)
    spacing[orientation[:, 0].astype(int)] = volume.spacing_mm
    return array, spacing


def _shows_head_along(head: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(head.any(axis=tuple(other for other in range(3) if other != axis)))


def _bounds(
    head: np.ndarray, shape: np.ndarray, steps: np.ndarray, spacing: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[bool, ...]]:
    low, high, cut = [], [], []
    for axis in range(3):
        shown = np.flatnonzero(_shows_head_along(head, axis))
        first, last = shown[0] * steps[axis], min(shown[-1] * steps[axis] + steps[axis], shape[axis])
        low.append(float((first - shape[axis] / 2) * spacing[axis]))
        high.append(float((last - shape[axis] / 2) * spacing[axis]))
        cut.append(bool(shape[axis] > 1 and (shown[0] == 0 or shown[-1] == head.shape[axis] - 1)))
    return tuple(low), tuple(high), tuple(cut)


def _profile(head: np.ndarray, axis: int) -> tuple[float, ...]:
    share = head.mean(axis=tuple(other for other in range(3) if other != axis))
    shown = np.flatnonzero(share)
    heights = np.linspace(shown[0], shown[-1], NUM_HEIGHTS)
    return tuple(float(value) for value in np.interp(heights, np.arange(len(share)), share))


def _thumbnail(array: np.ndarray, spacing: np.ndarray, middle: list[int], window: tuple[float, float]) -> str:
    """Axial, coronal and sagittal slice, upright and in radiological convention, as a data URI."""
    slices = {
        "axial": (array[::-1, ::-1, middle[2]].T, spacing[[1, 0]]),
        "coronal": (array[::-1, middle[1], ::-1].T, spacing[[2, 0]]),
        "sagittal": (array[middle[0], ::-1, ::-1].T, spacing[[2, 1]]),
    }
    strip = Image.new("L", (3 * THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    for number, (pixels, pixel_mm) in enumerate(slices.values()):
        if min(pixels.shape) == 1:
            continue
        gray = np.clip((pixels - window[0]) / max(window[1] - window[0], 1e-12), 0, 1)
        size_mm = np.array(gray.shape) * pixel_mm
        rows, columns = np.maximum(1, np.round(size_mm / size_mm.max() * THUMBNAIL_PIXELS)).astype(int)
        small = Image.fromarray((gray * 255).astype(np.uint8)).resize((int(columns), int(rows)), Image.Resampling.BOX)
        left, top = ((THUMBNAIL_PIXELS - side) // 2 for side in small.size)
        strip.paste(small, (number * THUMBNAIL_PIXELS + left, top))
    content = io.BytesIO()
    strip.save(content, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def metadata_as_json(examined: ScanExamination) -> dict[str, Any]:
    """A scan's facts and findings as plain JSON values, without the thumbnail."""
    scan = examined.scan
    return {
        "path": str(scan.path),
        "subject": scan.subject,
        "session": scan.session,
        "contrast": scan.contrast,
        "findings": [finding.as_json() for finding in examined.findings],
        "facts": None if examined.facts is None else vars(examined.facts) | {"head_mm": examined.facts.head_mm},
    }
