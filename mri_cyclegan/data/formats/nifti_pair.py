"""Images with header and voxels in two files: NIfTI pairs, and their predecessor Analyze 7.5."""

from pathlib import Path
from typing import BinaryIO, NamedTuple

import nibabel
import numpy as np
from nibabel.spm2analyze import Spm2AnalyzeHeader

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.nifti_affine import voxel_affine
from mri_cyclegan.data.formats.nifti_header import (
    HEADERS,
    MAGIC_AT,
    STARTS,
    check_magic,
    data_offset,
    header_shape,
    read_content,
    voxel_type,
)
from mri_cyclegan.data.formats.stored_voxels import (
    AGAIN,
    StoredVoxels,
    apply_scaling,
    locate_volume,
    open_stream,
    read_voxels,
    skip,
)
from mri_cyclegan.data.volume import ReadOptions, Volume

# The voxel file represents the pair.
PAIR_SUFFIXES = (".img", ".img.gz")
HEADER_SUFFIXES = (".hdr", ".hdr.gz")

_MAGIC = {348: b"ni1\0", 540: b"ni2\0\r\n\x1a\n"}
_SINGLE = dict.fromkeys((b"n+1", b"n+2"), "header and voxels in one file: rename it to .nii")
_ANYTHING = (b"",)  # voxel data has no magic

# Maximum bytes of header extensions, which are notes; a longer file is not a header.
_MAX_EXTENSIONS = 2**24


class _Header(NamedTuple):
    """Values that NIfTI and Analyze headers have in common."""

    fields: nibabel.Nifti1Header
    slope: float
    intercept: float
    missing_orientation_reason: str


def pair_files(path: Path) -> list[Path]:
    """Return the header file and the voxel file, given either one.

    Raises:
        UnfitFile: the other file is missing.
    """
    named = path.name.lower()
    own, others = HEADER_SUFFIXES, PAIR_SUFFIXES
    if named.endswith(PAIR_SUFFIXES):
        own, others = others, own
    stem = path.name[: -len(next(suffix for suffix in own if named.endswith(suffix)))]
    if named.endswith(".gz"):
        others = others[::-1]
    for suffix in (others[0], others[0].upper(), others[1], others[1].upper()):
        other = path.with_name(stem + suffix)
        if other.exists() or other.is_symlink():
            return [other, path] if own == PAIR_SUFFIXES else [path, other]
    what = "header" if own == PAIR_SUFFIXES else "voxels"
    problem = f"{stem}{others[0]}, the file of its {what}, is missing"
    raise UnfitFile(path, problem, f"Copy it beside {path.name}, or convert the scan again.")


def read_pair(path: Path, options: ReadOptions) -> Volume:
    """Read both files, to their last byte, and return one volume.

    Args:
        path: either file.
        options: ``assume_orientation`` is needed for Analyze 7.5.

    Raises:
        UnfitFile: a file is broken or missing, or the orientation is unknown.
    """
    header_path, image_path = pair_files(path)
    header = _read_header(header_path)
    with open_stream(image_path, "voxels", _ANYTHING) as file:
        stored = _locate(header_path, image_path, file, header.fields, options)
        affine, warnings = voxel_affine(path, header.fields, stored.shape, options, header.missing_orientation_reason)
        array = read_voxels(image_path, file, stored)
    return Volume(apply_scaling(header_path, array, header.slope, header.intercept), affine, tuple(warnings))


def pair_shape(path: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine from the header alone.

    Raises:
        UnfitFile: the header is broken, or a file is missing.
    """
    header_path, image_path = pair_files(path)
    header = _read_header(header_path)
    with open_stream(image_path, "voxels", _ANYTHING) as file:
        stored = _locate(header_path, image_path, file, header.fields, options)
    return stored.shape, voxel_affine(path, header.fields, stored.shape, options, header.missing_orientation_reason)[0]


def _locate(
    header_path: Path, image_path: Path, file: BinaryIO, header: nibabel.Nifti1Header, options: ReadOptions
) -> StoredVoxels:
    shape, dtype = header_shape(header_path, header), voxel_type(header_path, header)
    return locate_volume(image_path, file, shape, dtype, data_offset(header_path, header, least=0), options)


def _read_header(path: Path) -> _Header:
    with open_stream(path, "a NIfTI header", STARTS) as file:
        content, endianness = read_content(path, file)
        skip(file, _MAX_EXTENSIONS)
        if file.read(1):
            raise UnfitFile(path, f"more than {_MAX_EXTENSIONS:,} bytes after the header", AGAIN)
    fields = HEADERS[len(content)](content, endianness, check=False)
    magic = content[MAGIC_AT[len(content)] :][:3]
    if len(content) == 540 or magic in (b"ni1", b"n+1"):
        check_magic(path, content, _MAGIC, _SINGLE)
        missing_orientation_reason = "neither sform nor qform is set"
        return _Header(fields, float(fields["scl_slope"]), float(fields["scl_inter"]), missing_orientation_reason)
    # Analyze has other fields where NIfTI stores the orientation.
    fields["sform_code"] = fields["qform_code"] = 0
    slope, intercept = Spm2AnalyzeHeader(content, endianness, check=False).get_slope_inter()
    return _Header(fields, slope or 1.0, intercept or 0.0, "Analyze 7.5 keeps no orientation")
