"""From a scan file to the common intensity scale: for training, evaluation and translation alike."""

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
    """Read a scan and bring it to the common intensity scale.

    Args:
        path: of the scan.
        options: what to do where the file alone does not say.
        remedy: end of the message about a scan that shows nothing.

    Returns:
        The scan, and warnings about it.

    Raises:
        UnfitFile: it cannot be read; :class:`mri_cyclegan.data.findings.EmptyScan`: it shows nothing.
    """
    volume = read_volume(path, options)
    return scaled_with_findings(volume, path, remedy)


def scaled_with_findings(volume: Volume, path: Path, remedy: str = LEFT_OUT) -> tuple[ScaledVolume, Sequence[Finding]]:
    """As :func:`read_scaled`, of a scan that is read already."""
    try:
        scaled = scale_intensities(volume)
    except ValueError as error:
        raise EmptyScan(path, str(error), remedy) from error
    return scaled, [*volume.warnings, *(warning.of(path) for warning in scaled.warnings)]
