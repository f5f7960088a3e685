"""From a scan file to the common intensity scale."""

from pathlib import Path

from mri_cyclegan.data.findings import EmptyScan
from mri_cyclegan.data.intensities import ScaledVolume, scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions


def read_scaled(path: Path, options: ReadOptions) -> ScaledVolume:
    """Read a scan and bring it to the common intensity scale.

    Raises:
        UnfitFile: it cannot be read, or shows nothing.
    """
    volume = read_volume(path, options)
    try:
        return scale_intensities(volume)
    except ValueError as error:
        raise EmptyScan(path, str(error), "It is left out.") from error
