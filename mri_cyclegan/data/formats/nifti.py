"""NIfTI-1 and NIfTI-2 files, with header and voxels in one file."""

from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np

from mri_cyclegan.data.formats.nifti_affine import voxel_affine
from mri_cyclegan.data.formats.nifti_header import (
    HEADERS,
    STARTS,
    check_magic,
    data_offset,
    header_shape,
    read_content,
    voxel_type,
)
from mri_cyclegan.data.formats.stored_voxels import StoredVoxels, apply_scaling, locate_volume, open_stream, read_voxels
from mri_cyclegan.data.volume import ReadOptions, Volume
from mri_cyclegan.filesystem import atomic_file

NIFTI_SUFFIXES = (".nii", ".nii.gz")

_MAGIC = {348: b"n+1\0", 540: b"n+2\0\r\n\x1a\n"}
_PAIR = dict.fromkeys((b"ni1", b"ni2"), "header and voxels in two files")


def read_nifti(path: Path, options: ReadOptions) -> Volume:
    """Read a whole file, to its last byte, and return one of its volumes.

    Raises:
        UnfitFile: the file is broken, or it has several volumes and none was chosen.
    """
    with open_stream(path, "NIfTI", STARTS) as file:
        header, stored = _read_layout(path, file, options)
        affine, warnings = voxel_affine(path, header, stored.shape, options)
        array = read_voxels(path, file, stored)
    array = apply_scaling(path, array, float(header["scl_slope"]), float(header["scl_inter"]))
    return Volume(array, affine, tuple(warnings))


def nifti_shape(path: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine from the header alone.

    Raises:
        UnfitFile: the header is broken.
    """
    with open_stream(path, "NIfTI", STARTS) as file:
        header, stored = _read_layout(path, file, options)
    return stored.shape, voxel_affine(path, header, stored.shape, options)[0]


def write_volume(path: str | Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write a NIfTI file atomically.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``; replaced if it exists.
        array: (X, Y, Z), in the dtype to store.
        affine: (4, 4), voxel indices to RAS+ mm.
    """
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    with atomic_file(Path(path), sync=False) as partial:
        nibabel.save(image, partial)


def _read_layout(path: Path, file: BinaryIO, options: ReadOptions) -> tuple[nibabel.Nifti1Header, StoredVoxels]:
    content, endianness = read_content(path, file)
    check_magic(path, content, _MAGIC, _PAIR)
    header = HEADERS[len(content)](content, endianness, check=False)
    shape, dtype = header_shape(path, header), voxel_type(path, header)
    offset = data_offset(path, header, least=len(content) + 4)
    return header, locate_volume(path, file, shape, dtype, offset, options)
