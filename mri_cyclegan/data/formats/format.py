"""What a file format consists of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_cyclegan.data.volume import ReadOptions, Volume


@dataclass(frozen=True)
class Format:
    """How the files of a scan are read.

    Attributes:
        name: as a sentence calls it.
        suffixes: how a file that stands for a scan ends, in lower case; none for a folder.
        read: path and options to the volume; raises UnfitFile.
        read_shape: the same to its shape, (X, Y, Z), and affine, (4, 4), by the headers alone.
        is_picture: whether it is a picture of one slice, whose voxel size is unknown.
        companions: how further files of the scan end; naming one is naming the scan.
        source_files: path to all files of the scan.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Volume]
    read_shape: Callable[[Path, ReadOptions], tuple[tuple[int, int, int], np.ndarray]]
    is_picture: bool = False
    companions: tuple[str, ...] = ()
    source_files: Callable[[Path], list[Path]] = lambda path: [path]
