"""Converts DICOM series that are not a stack of single-frame images to one volume, with dcm2niix."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.dicom_frames import Grid, grid_of
from mri_cyclegan.data.formats.dicom_image import ImageHeader
from mri_cyclegan.data.formats.nifti import nifti_shape, read_nifti
from mri_cyclegan.data.volume import ReadOptions, Volume

TIMEOUT_S = 600

# Maximum distance between the corners of the converted volume and those in the headers, as a fraction of a pixel.
PLACE_TOLERANCE = 0.25

# dcm2niix only warns about this, although the images then have different intensity scales.
SCALE_WARNING = "Intensity slope/intercept varies"

_EXPORT = "Export the series again, or convert it by hand and look at what comes out."
_CHOOSE = "Set data.volume_index to choose one, or keep the images of one in a folder of its own."


class _Output(NamedTuple):
    """A NIfTI file written by dcm2niix."""

    path: Path
    echo_time_ms: float
    label: str


def convert_series(
    folder: Path, headers: list[ImageHeader], options: ReadOptions, reason: UnfitFile | None = None
) -> Volume:
    """Convert a series of enhanced multi-frame images, or of several images per slice position, and read the result.

    Args:
        folder: folder of the series, for messages.
        headers: headers of all files of the series.
        options: ``volume_index`` chooses one of several images, such as echoes, by echo time.
        reason: why the series cannot be read directly; None for multi-frame images.

    Raises:
        UnfitFile: dcm2niix is missing or fails, its output is incomplete, or no image was chosen.
    """
    grid = grid_of(folder, headers)
    program = _find_dcm2niix(folder, reason)
    with tempfile.TemporaryDirectory(prefix="mri_cyclegan_dicom_") as scratch:
        outputs = _convert(folder, program, headers, Path(scratch))
        try:
            _require_grid(folder, outputs, grid)
            chosen, options = _choose(folder, outputs, options, reason)
            volume = read_nifti(chosen.path, options)
        except UnfitFile as error:
            if error.finding.path == folder:
                raise
            problem = f"converted by dcm2niix: {error.finding.problem}"
            raise UnfitFile(folder, problem, error.finding.remedy) from error
    return Volume(volume.array, volume.affine, tuple(replace(warning, path=folder) for warning in volume.warnings))


def _find_dcm2niix(folder: Path, reason: UnfitFile | None) -> str:
    try:
        import dcm2niix
    except ModuleNotFoundError:
        if found := shutil.which("dcm2niix"):
            return found
        problem = reason.finding.problem if reason else "multi-frame images"
        remedy = "They are read by dcm2niix, which is missing. Install it with: pip install 'mri-cyclegan[dicom]'"
        raise UnfitFile(folder, problem, remedy) from None
    return dcm2niix.bin


def _convert(folder: Path, program: str, headers: list[ImageHeader], scratch: Path) -> list[_Output]:
    """Run dcm2niix on links to the files, so that it sees no others, and sort its outputs by echo time."""
    source, target = scratch / "in", scratch / "out"
    source.mkdir()
    target.mkdir()
    for number, header in enumerate(headers):
        (source / f"{number:06d}.dcm").symlink_to(header.path.absolute())
    command = [program, "-b", "y", "-ba", "y", "-z", "n", "-f", "image", "-o", str(target), str(source)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise UnfitFile(folder, f"dcm2niix did not end within {TIMEOUT_S} s", _EXPORT) from error
    if SCALE_WARNING in done.stdout + done.stderr:
        raise UnfitFile(folder, f"dcm2niix says: {SCALE_WARNING} between its images", _EXPORT)
    outputs = sorted(map(_read_output, target.glob("*.nii")), key=lambda one: (one.echo_time_ms, one.path.name))
    if done.returncode or not outputs:
        raise UnfitFile(folder, f"dcm2niix made no image of it (status {done.returncode})", _EXPORT)
    return outputs


def _read_output(path: Path) -> _Output:
    try:
        sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8", errors="replace"))
        echo_time_ms = 1000 * float(sidecar["EchoTime"])
    except (OSError, ValueError, KeyError, TypeError):
        echo_time_ms = 0.0
    kind = path.stem.removeprefix("image").strip("_")  # such as e2 for an echo, or ph for phase
    words = [f"EchoTime {echo_time_ms:g} ms"] if echo_time_ms else []
    return _Output(path, echo_time_ms, ", ".join([*words, kind] if kind else words))


def _require_grid(folder: Path, outputs: list[_Output], grid: Grid) -> None:
    """Raise unless the outputs hold every image exactly once, at the position in its header."""
    expected, num_voxels = _corners(grid.shape, grid.affine), 0
    for output in outputs:
        shape, affine = nifti_shape(output.path, ReadOptions(volume_index=0))
        num_voxels += int(np.prod(nibabel.Nifti1Image.from_filename(output.path).shape))
        # The set of corners does not depend on the order and direction of the axes.
        apart = np.linalg.norm(expected[:, None] - _corners(shape, affine)[None], axis=2).min(axis=1).max()
        if sorted(shape) != sorted(grid.shape) or apart > PLACE_TOLERANCE * voxel_sizes(grid.affine)[:2].min():
            made, headed = (" × ".join(map(str, one)) for one in (shape, grid.shape))
            problem = f"dcm2niix made {made} voxels, {apart:.2f} mm from where the headers put {headed}"
            raise UnfitFile(folder, problem, _EXPORT)
    if (num_made := num_voxels // (grid.shape[0] * grid.shape[1])) != grid.num_images:
        raise UnfitFile(folder, f"dcm2niix made {num_made} slices of {grid.num_images} images", _EXPORT)


def _corners(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """Return the centers of the corner voxels, (8, 3), in mm."""
    indices = np.array(list(product(*((0, size - 1) for size in shape))))
    return apply_affine(affine, indices)


def _choose(
    folder: Path, outputs: list[_Output], options: ReadOptions, reason: UnfitFile | None
) -> tuple[_Output, ReadOptions]:
    """Return the only output, or the one at ``volume_index``, and the options to read it with."""
    if len(outputs) == 1:
        return outputs[0], options
    listing = "; ".join(f"{number}: {output.label}" for number, output in enumerate(outputs))
    problem = f"{reason.finding.problem if reason else 'several images in one series'}. dcm2niix finds {listing}"
    index = options.volume_index
    if index is None:
        raise UnfitFile(folder, problem, _CHOOSE)
    if not 0 <= index < len(outputs):
        raise UnfitFile(folder, f"data.volume_index={index}, but: {problem}", "Choose one of these.")
    return outputs[index], replace(options, volume_index=None)
