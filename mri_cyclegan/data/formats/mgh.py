"""FreeSurfer volumes: ``.mgh``, and compressed ``.mgz``."""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from nibabel.freesurfer.mghformat import DATA_OFFSET, MGHHeader

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.affine import affine_warnings, assumed_affine, require_invertible
from mri_cyclegan.data.formats.stored_voxels import (
    AGAIN,
    StoredVoxels,
    apply_scaling,
    locate_volume,
    open_stream,
    read_voxels,
)
from mri_cyclegan.data.volume import ReadOptions, Volume

MGH_SUFFIXES = (".mgh", ".mgz")

# Maximum bytes after the voxels: a few sequence parameters, and notes such as command lines and a color table.
MAX_TRAILER_BYTES = 2**20

_VERSION = b"\0\0\0\1"
_AGAIN = "Convert it again, e.g. with mri_convert."


def read_mgh(path: Path, options: ReadOptions) -> Volume:
    """Read a whole file, to its last byte, and return one of its frames.

    Raises:
        UnfitFile: the file is broken, it has several frames and none was chosen, or its orientation is unknown.
    """
    with open_stream(path, "an .mgh volume", (_VERSION,)) as file:
        content, stored = _read_layout(path, file, options)
        affine, warnings = _affine(path, content, stored.shape, options)
        array = read_voxels(path, file, stored)
    return Volume(apply_scaling(path, array, 1.0, 0.0), affine, tuple(warnings))


def mgh_shape(path: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine from the header alone.

    Raises:
        UnfitFile: the header is broken.
    """
    with open_stream(path, "an .mgh volume", (_VERSION,)) as file:
        content, stored = _read_layout(path, file, options)
    return stored.shape, _affine(path, content, stored.shape, options)[0]


def _read_layout(path: Path, file: BinaryIO, options: ReadOptions) -> tuple[bytes, StoredVoxels]:
    content = file.read(DATA_OFFSET)
    if not content.startswith(_VERSION):
        raise UnfitFile(path, f"no FreeSurfer volume: it starts with {content[:8]!r}", "Convert it to NIfTI.")
    if len(content) < DATA_OFFSET:
        raise UnfitFile(path, f"truncated: {len(content)} bytes are too few for a header", AGAIN)
    *shape, code = struct.unpack_from(">5i", content, 4)
    if min(shape) < 1:
        raise UnfitFile(path, f"dimensions {tuple(shape)}; expected one 3-D volume", _AGAIN)
    try:
        dtype = MGHHeader(content, check=False).get_data_dtype()
    except KeyError as error:
        raise UnfitFile(path, f"unknown voxel type {code}", _AGAIN) from error
    return content, locate_volume(path, file, tuple(shape), dtype, DATA_OFFSET, options, MAX_TRAILER_BYTES)


def _affine(
    path: Path, content: bytes, shape: tuple[int, int, int], options: ReadOptions
) -> tuple[np.ndarray, list[Finding]]:
    header = MGHHeader(content, check=False)
    (has_good_ras,) = struct.unpack_from(">h", content, 28)  # goodRASFlag as stored: nibabel sets it
    warnings = []
    if has_good_ras:
        spacing = np.asarray(header["delta"], dtype=np.float64)
        if not (np.isfinite(spacing).all() and (spacing > 0).all()):
            problem = f"voxel sizes {tuple(map(float, spacing))} mm; expected numbers above 0"
            raise UnfitFile(path, problem, _AGAIN)
        with np.errstate(over="ignore", invalid="ignore"):
            affine = np.asarray(header.get_affine(), dtype=np.float64)
    else:
        affine, warning = assumed_affine(path, "goodRASFlag is not set", np.ones(3), shape, options)
        warnings.append(warning)
    require_invertible(path, affine)
    return affine, warnings + affine_warnings(path, affine)
