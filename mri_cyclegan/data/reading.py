"""Reads any scan file into one volume in memory, or raises an error that says why not."""

import errno
import stat
from pathlib import Path

import numpy as np

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.format import Format
from mri_cyclegan.data.formats.registry import IMAGE_SUFFIXES, format_of
from mri_cyclegan.data.formats.unsupported import unread_format
from mri_cyclegan.data.volume import ReadOptions, Volume

# Plausible longest side of a scan. Beyond, its affine is not in mm, and resampling could exhaust memory.
SIDE_MM = (1.0, 2000.0)

# Largest plausible intensity (larger ones mark missing voxels) and smallest plausible peak. Beyond these, squares
# overflow or underflow float32.
LARGEST_INTENSITY = 1e10
SMALLEST_PEAK = 1e-15


def read_volume(path: str | Path, options: ReadOptions = ReadOptions()) -> Volume:
    """Read a file of any known format, or a folder with one DICOM series.

    Args:
        path: see :mod:`mri_cyclegan.data.formats.registry`. A picture becomes a volume of one slice, (1, H, W).
        options: how to read incomplete, ambiguous or unusual files.

    Raises:
        UnfitFile: the file is missing, broken, or not one gray 3-D image; the message names it and says what to do.
    """
    path = Path(path)
    try:
        volume = _format_of(path).read(path, options)
    except OSError as error:
        raise unreadable_error(path, error) from error
    except MemoryError as error:
        raise UnfitFile(path, "does not fit into memory", "Crop or resample it, or use a larger machine.") from error
    _check_size(path, volume.array.shape, volume.affine)
    volume = _with_finite_voxels(path, volume, options)
    _check_peak(path, volume.array)
    return volume


def read_shape(path: str | Path, options: ReadOptions = ReadOptions()) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of what :func:`read_volume` would return, read from the headers only.

    Raises:
        UnfitFile: as for :func:`read_volume`, as far as the headers show it.
    """
    path = Path(path)
    try:
        shape, affine = _format_of(path).read_shape(path, options)
    except OSError as error:
        raise unreadable_error(path, error) from error
    _check_size(path, shape, affine)
    return shape, affine


def _format_of(path: Path) -> Format:
    """Format of a file or folder; raises for pipes and devices, as reading these might never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnfitFile(path, "no plain file", "Give the file itself.")
    if (found := format_of(path)) is None:
        raise unknown_type_error(path)
    return found


def unknown_type_error(path: Path) -> UnfitFile:
    """Error for a file whose name has no supported format."""
    if unread := unread_format(path.name):
        kind, remedy = unread
        return UnfitFile(path, f"{kind} files are not read", remedy)
    return UnfitFile(path, "unknown file type", f"Expected {', '.join(IMAGE_SUFFIXES)}, or a folder of DICOM files.")


def unreadable_error(path: Path, error: OSError) -> UnfitFile:
    """Error for a file that the operating system cannot open."""
    if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
        fate = "does not exist" if error.errno == errno.ENOENT else "leads in a circle"
        problem = f"a link to {path.readlink()}, which {fate}"
        return UnfitFile(path, problem, "Mend the link, fetch what it points to, or remove it.")
    return UnfitFile(path, f"cannot be read ({error.strerror or error})", "Check that it exists and may be read.")


def _check_size(path: Path, shape: tuple[int, ...], affine: np.ndarray) -> None:
    if (found := format_of(path)) and found.is_picture:
        return  # pixel size is unknown
    longest = float((np.linalg.norm(affine[:3, :3], axis=0) * shape).max())
    if not SIDE_MM[0] <= longest <= SIDE_MM[1]:
        problem = f"the image is {float(f'{longest:.3g}'):,g} mm long, so its affine is not in mm"
        raise UnfitFile(path, problem, "Correct the units in its header: a head is about 200 mm long.")


def _with_finite_voxels(path: Path, volume: Volume, options: ReadOptions) -> Volume:
    wrong = ~((volume.array >= -LARGEST_INTENSITY) & (volume.array <= LARGEST_INTENSITY))  # also catches NaN
    num_wrong = int(np.count_nonzero(wrong))
    if num_wrong == 0:
        return volume
    problem = f"{num_wrong} of {wrong.size} voxels are NaN or infinite, or beyond ±{LARGEST_INTENSITY:g}"
    if options.nonfinite == "raise":
        raise UnfitFile(path, problem, "Repair or remove the file, or set data.nonfinite=zero to make them 0.")
    warning = Finding("warning", path, f"{problem}; they are taken for 0", "Repair the file.")
    return Volume(np.where(wrong, np.float32(0), volume.array), volume.affine, (*volume.warnings, warning))


def _check_peak(path: Path, array: np.ndarray) -> None:
    peak = max(-float(array.min()), float(array.max()))
    if 0 < peak < SMALLEST_PEAK:
        remedy = "Check voxel type and scaling in its header, or multiply its intensities."
        raise UnfitFile(path, f"its largest intensity is {peak:.1g}", remedy)
