"""Reads a scan and normalizes its intensities, the same way for training, evaluation and translation."""

from collections.abc import Sequence
from pathlib import Path

from mri_cyclegan.data.findings import EmptyScan, Finding
from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions, Volume

LEFT_OUT = "It is left out."


def read_scaled(
    path: Path, options: ReadOptions = ReadOptions(), remedy: str = LEFT_OUT
) -> tuple[ScaledVolume, Sequence[Finding]]:
    """Read a scan and map it to the common intensity scale.

    Args:
        path: path of the scan.
        options: how to read incomplete, ambiguous or unusual files.
        remedy: last sentence of the message about an empty scan.

    Returns:
        The scan, and warnings about it.

    Raises:
        UnfitFile: the scan cannot be read.
        EmptyScan: the scan shows nothing, see :func:`mri_cyclegan.data.intensities.scale_intensities`.
    """
    volume = read_volume(path, options)
    return scaled_with_findings(volume, path, remedy)


def scaled_with_findings(volume: Volume, path: Path, remedy: str = LEFT_OUT) -> tuple[ScaledVolume, Sequence[Finding]]:
    """Like :func:`read_scaled`, for a scan that is in memory already."""
    try:
        scaled = scale_intensities(volume)
    except ValueError as error:
        raise EmptyScan(path, str(error), remedy) from error
    return scaled, [*volume.warnings, *(warning.of(path) for warning in scaled.warnings)]
