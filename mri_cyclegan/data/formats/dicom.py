"""A folder of single-frame MR images, as scanners and archives write them, to one volume."""

import stat
from collections import defaultdict
from pathlib import Path

import numpy as np

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.dicom_image import EXPORT, REPEATS, ImageHeader, check_image, read_header, stored_values
from mri_cyclegan.data.formats.mgh import MGH_SUFFIXES
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.volume import MAX_VOXELS, ReadOptions, Volume

START = bytes(128) + b"DICM"  # the preamble may hold anything, but nearly always holds zeros
SAME_PLACE_MM = 0.01

# What is named like this is an image of its own, whatever is in it.
_OTHERS = (*NIFTI_SUFFIXES, *MGH_SUFFIXES, *PICTURE_SUFFIXES)


def series_files(folder: Path) -> list[Path]:
    """The DICOM files of a folder, sorted by name: marked as such inside, or named ``.dcm`` or ``.ima``.

    Beside DICOM files, one that cannot be read, or ends before the place of the mark, is listed too, so that reading
    refuses it: it may be a slice.
    """
    kinds = {path: _kind(path) for path in folder.iterdir()}
    # A lone doubtful file does not make a folder of DICOM files.
    return sorted(path for path in kinds if kinds[path]) if "dicom" in kinds.values() else []


def _kind(path: Path) -> str:
    """``"dicom"``, ``"doubtful"``, or ``""`` for anything else."""
    name = path.name.lower()
    if name.startswith(".") or name == "dicomdir" or name.endswith(_OTHERS) or _is_no_file(path):
        return ""
    if path.suffix.lower() in (".dcm", ".ima"):
        return "dicom"
    try:
        with path.open("rb") as file:
            start = file.read(len(START))
    except OSError:
        return "doubtful"
    if start[128:] == b"DICM":
        return "dicom"
    return "doubtful" if START.startswith(start) else ""


def _is_no_file(path: Path) -> bool:
    """False of a link that leads nowhere or may not be followed: it may stand for a slice."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def series_shape(folder: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of what :func:`read_series` would give, by the headers alone.

    Raises:
        UnfitFile: as :func:`read_series`, as far as the headers show it.
    """
    headers, affine, _ = _checked_series(folder, options)
    return (headers[0].integer("Columns"), headers[0].integer("Rows"), len(headers)), affine


def read_series(folder: Path, options: ReadOptions) -> Volume:
    """Read one series of single-frame MR images.

    Args:
        folder: holds the files; folders inside it are not looked into.
        options: ``series_uids`` chooses where the folder holds several series.

    Returns:
        Volume with axes (column, row, slice), slices sorted along the normal of the image plane. Intensities are
        RescaleSlope times stored value plus RescaleIntercept, image by image.

    Raises:
        UnfitFile: a file is broken, or the images do not make up one volume; the message says which and what to do.

    Reference:
        DICOM PS3.3, C.7.6.2 (image plane) and C.7.6.3 (image pixels).
    """
    headers, affine, warnings = _checked_series(folder, options)
    array = np.empty((len(headers), headers[0].integer("Rows"), headers[0].integer("Columns")), np.float32)
    for image, header in zip(array, headers, strict=True):
        (slope,), (intercept,) = header.numbers["RescaleSlope"], header.numbers["RescaleIntercept"]
        image[...] = stored_values(header) * slope + intercept
    return Volume(array.T, affine, warnings)


def _checked_series(folder: Path, options: ReadOptions) -> tuple[list[ImageHeader], np.ndarray, tuple[Finding, ...]]:
    """Headers in the order of their slices, affine, and what is doubtful."""
    paths = series_files(folder)
    if not paths:
        remedy = "Expected files marked DICM at byte 128 or named .dcm or .ima, in this folder itself."
        raise UnfitFile(folder, "no DICOM files", remedy)
    headers = _one_series(folder, [read_header(path) for path in paths], options.series_uids)
    for header in headers:
        check_image(header)
        _check_alike(header, headers[0])
    num_voxels = headers[0].integer("Rows") * headers[0].integer("Columns") * len(headers)
    if num_voxels > MAX_VOXELS:
        raise UnfitFile(folder, f"{num_voxels} voxels; expected {MAX_VOXELS} at most", "Crop or resample the series.")
    headers, affine, warnings = _placed(folder, headers)
    if any(header.texts["LossyImageCompression"] == ("01",) for header in headers):
        remedy = "Use the originals if they exist."
        warnings.append(Finding("warning", folder, "its images were compressed with loss", remedy))
    return headers, affine, tuple(warnings)


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


def _check_alike(header: ImageHeader, first: ImageHeader) -> None:
    for keyword in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        values, expected = header.numbers[keyword], first.numbers[keyword]
        if not np.allclose(values, expected, rtol=0, atol=1e-3):
            found, wanted = (", ".join(f"{value:g}" for value in numbers) for numbers in (values, expected))
            hint = " (a localizer?)" if keyword == "ImageOrientationPatient" else ""
            problem = f"{keyword} is {found}, but {wanted} in {first.path.name} of the same series{hint}"
            raise UnfitFile(header.path, problem, "Leave it out, or move images unlike the others into another folder.")


def _placed(folder: Path, headers: list[ImageHeader]) -> tuple[list[ImageHeader], np.ndarray, list[Finding]]:
    """Headers sorted along the normal, voxel to RAS+ affine in mm, and what is doubtful about the slices' places."""
    axes = np.array(headers[0].numbers["ImageOrientationPatient"]).reshape(2, 3)
    along_row, along_column = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    normal = np.cross(along_row, along_column)
    headers = sorted(headers, key=lambda header: float(header.numbers["ImagePositionPatient"] @ normal))
    positions = np.array([header.numbers["ImagePositionPatient"] for header in headers])
    if len(headers) == 1:
        thickness, warnings = _lone_thickness(folder, headers[0])
        step = thickness * normal
    else:
        step, warnings = _common_step(folder, headers, positions, normal)
    between_rows, between_columns = headers[0].numbers["PixelSpacing"]
    lps = np.eye(4)
    lps[:3] = np.column_stack([between_columns * along_row, between_rows * along_column, step, positions[0]])
    return headers, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, warnings


def _lone_thickness(folder: Path, header: ImageHeader) -> tuple[float, list[Finding]]:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if len(values := header.numbers[keyword]) == 1 and 1e-3 <= values[0] <= 1e3:
            return values[0], []
    problem = "a single slice without SpacingBetweenSlices and SliceThickness; it is taken to be 1 mm thick"
    return 1.0, [Finding("warning", folder, problem, "Nothing to do unless its thickness matters.")]


def _common_step(
    folder: Path, headers: list[ImageHeader], positions: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, list[Finding]]:
    """Displacement from each slice to the next, (3,), in mm."""
    depths = positions @ normal
    gaps = np.diff(depths)
    if gaps.min() < SAME_PLACE_MM:
        raise _repeated(folder, headers, depths)
    step = (positions[-1] - positions[0]) / len(gaps)
    tolerance = SAME_PLACE_MM + 0.02 * np.linalg.norm(step)
    off_line = np.linalg.norm(positions[0] + np.arange(len(positions))[:, None] * step - positions, axis=1)
    if off_line.max() > tolerance:
        raise _uneven(folder, depths, gaps, off_line.max())
    shift = float(np.linalg.norm(step - (step @ normal) * normal))
    if shift <= tolerance:
        return step, []
    problem = f"each slice is shifted by {shift:.2f} mm within its plane: its voxels are sheared"
    return step, [Finding("warning", folder, problem, "Check that the scanner was meant to do so.")]


def _repeated(folder: Path, headers: list[ImageHeader], depths: np.ndarray) -> UnfitFile:
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
    return UnfitFile(folder, problem, remedy)


def _uneven(folder: Path, depths: np.ndarray, gaps: np.ndarray, off_line: float) -> UnfitFile:
    usual = np.sort(gaps)[(len(gaps) - 1) // 2]  # the lower median: missing slices only widen gaps
    worst = int(np.abs(gaps - usual).argmax())
    if abs(gaps[worst] - usual) <= SAME_PLACE_MM + 0.02 * usual:
        problem = f"slices lie up to {off_line:.2f} mm off the line from the first to the last"
        return UnfitFile(folder, problem, EXPORT)
    problem = (
        f"slices are not evenly spaced: {gaps[worst]:.2f} mm from {depths[worst]:.2f} to {depths[worst + 1]:.2f} mm "
        f"along the normal, but {usual:.2f} mm elsewhere"
    )
    return UnfitFile(folder, problem, f"A slice may be missing: copy the series again. {EXPORT}")
