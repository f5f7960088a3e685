"""Slice order, slice spacing and affine of a DICOM series."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.dicom_image import EXPORT, REPEATS, ImageHeader

SAME_PLACE_MM = 0.01


class MultipleVolumes(UnfitFile):
    """A complete series that is more than one volume: it holds several echoes, phases or repetitions."""


def place_slices(folder: Path, headers: list[ImageHeader]) -> tuple[list[ImageHeader], np.ndarray, list[Finding]]:
    """Sort slices along their normal and compute their affine.

    Args:
        folder: folder of the series, for messages.
        headers: checked headers of the same size and orientation.

    Returns:
        Headers in slice order, voxel to RAS+ affine in mm, and warnings about the slice positions.

    Raises:
        MultipleVolumes: several images of different kinds share a position.
        UnfitFile: slices are missing, duplicated or unevenly spaced.
    """
    axes, normal = image_axes(headers[0].numbers["ImageOrientationPatient"])
    headers = sorted(headers, key=lambda header: float(header.numbers["ImagePositionPatient"] @ normal))
    positions = np.array([header.numbers["ImagePositionPatient"] for header in headers])
    if len(headers) == 1:
        thickness, warnings = _lone_thickness(folder, headers[0])
        step = thickness * normal
    else:
        depths = positions @ normal
        if np.diff(depths).min() < SAME_PLACE_MM:
            raise _repeated_error(folder, headers, depths)
        step, warnings = even_step(folder, positions, normal)
    return headers, stack_affine(axes, headers[0].numbers["PixelSpacing"], step, positions[0]), warnings


def image_axes(orientation: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors along a row and a column, (2, 3), and their normal, (3,), from ImageOrientationPatient."""
    axes = np.array(orientation).reshape(2, 3)
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    return axes, np.cross(*axes)


def stack_affine(axes: np.ndarray, spacing: Sequence[float], step: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the affine from voxel (column, row, slice) to RAS+ mm, (4, 4).

    Args:
        axes: unit vectors of :func:`image_axes`, (2, 3).
        spacing: distance between rows and between columns, in mm.
        step: displacement from each slice to the next, (3,), in mm.
        first: position of the first slice, (3,), in mm.
    """
    between_rows, between_columns = spacing
    lps = np.eye(4)
    lps[:3] = np.column_stack([between_columns * axes[0], between_rows * axes[1], step, first])
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def _lone_thickness(folder: Path, header: ImageHeader) -> tuple[float, list[Finding]]:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if len(values := header.numbers[keyword]) == 1 and 1e-3 <= values[0] <= 1e3:
            return values[0], []
    problem = "a single slice without SpacingBetweenSlices and SliceThickness; it is taken to be 1 mm thick"
    return 1.0, [Finding("warning", folder, problem, "Nothing to do unless its thickness matters.")]


def even_step(folder: Path, positions: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, list[Finding]]:
    """Return the displacement from each slice to the next, (3,), in mm, and warnings about it.

    Args:
        folder: folder of the series, for messages.
        positions: distinct slice positions, sorted along the normal, (N, 3), in mm.
        normal: normal of the slices, (3,).

    Raises:
        UnfitFile: slices are missing or unevenly spaced.
    """
    depths = positions @ normal
    gaps = np.diff(depths)
    step = (positions[-1] - positions[0]) / len(gaps)
    rounding = _rounding_mm(positions)
    unevenness = SAME_PLACE_MM + 0.02 * np.linalg.norm(step)
    tolerance = unevenness + rounding
    off_line = np.linalg.norm(positions[0] + np.arange(len(positions))[:, None] * step - positions, axis=1)
    if off_line.max() > tolerance or gaps.max() > 1.5 * _lower_median(gaps):
        raise _uneven_error(folder, depths, gaps, off_line.max(), tolerance)
    shift = float(np.linalg.norm(step - (step @ normal) * normal))
    if shift <= unevenness + rounding / len(gaps):
        return step, []
    problem = f"each slice is shifted by {shift:.2f} mm within its plane: its voxels are sheared"
    return step, [Finding("warning", folder, problem, "Check that the scanner was meant to do so.")]


def _rounding_mm(positions: np.ndarray) -> float:
    """Return how far rounding to the decimals of the positions can move a slice off the line, in mm."""
    for digit in (0.1, 0.01):
        if np.abs(positions / digit - np.rint(positions / digit)).max() < 1e-4:
            # Half a digit along each of three axes, for the slice and for the ends of the line.
            return float(np.sqrt(3) * digit)
    return 0.0


def _lower_median(gaps: np.ndarray) -> float:
    """Return the lower median: missing slices only widen gaps."""
    return float(np.sort(gaps)[(len(gaps) - 1) // 2])


def _repeated_error(folder: Path, headers: list[ImageHeader], depths: np.ndarray) -> UnfitFile:
    pairs = np.flatnonzero(np.diff(depths) < SAME_PLACE_MM)
    places = sorted({f"{depths[index]:.2f}" for index in pairs}, key=float)
    listing = ", ".join(places[:6]) + (", …" if len(places) > 6 else "")
    problem = f"{len(headers)} images at {len(headers) - len(pairs)} places; several at {listing} mm along the normal"
    differing = [
        keyword
        for keyword in REPEATS
        if any(headers[index].texts[keyword] != headers[index + 1].texts[keyword] for index in pairs)
    ]
    if not differing:
        first, second = headers[pairs[0]].path.name, headers[pairs[0] + 1].path.name
        return UnfitFile(folder, problem, f"Remove the copies, such as one of {first} and {second}.")
    remedy = "Keep one of them, or convert the series with dcm2niix, which takes them apart."
    problem += f"; {', '.join(differing)} differ: echoes, phases or repetitions share the series"
    return MultipleVolumes(folder, problem, remedy)


def _uneven_error(
    folder: Path, depths: np.ndarray, gaps: np.ndarray, off_line: float, tolerance: np.floating
) -> UnfitFile:
    usual = _lower_median(gaps)
    worst = int(np.abs(gaps - usual).argmax())
    if abs(gaps[worst] - usual) <= tolerance:
        problem = f"slices lie up to {off_line:.2f} mm off the line from the first to the last"
        return UnfitFile(folder, problem, EXPORT)
    problem = (
        f"slices are not evenly spaced: {gaps[worst]:.2f} mm from {depths[worst]:.2f} to {depths[worst + 1]:.2f} mm "
        f"along the normal, but {usual:.2f} mm elsewhere"
    )
    return UnfitFile(folder, problem, f"A slice may be missing: copy the series again. {EXPORT}")
