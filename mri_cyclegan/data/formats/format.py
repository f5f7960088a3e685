"""Interface of a file format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_cyclegan.data.volume import ReadOptions, Volume


@dataclass(frozen=True)
class Format:
    """How files of one format are recognized and read.

    Attributes:
        name: name of the format in messages.
        suffixes: lower-case suffixes of the file that represents a scan; empty for a folder.
        read: reads a path with options into a volume; raises UnfitFile.
        read_shape: returns shape, (X, Y, Z), and affine, (4, 4), from the headers alone; raises UnfitFile.
        is_picture: whether a file is a picture of one slice, whose voxel size is unknown.
        companions: suffixes of the scan's other files; the path of one also names the scan.
        source_files: lists all files of the scan at a path.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Volume]
    read_shape: Callable[[Path, ReadOptions], tuple[tuple[int, int, int], np.ndarray]]
    is_picture: bool = False
    companions: tuple[str, ...] = ()
    source_files: Callable[[Path], list[Path]] = lambda path: [path]
