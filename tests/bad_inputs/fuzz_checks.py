"""What must hold of a spoiled file that is read all the same."""

import json
from pathlib import Path

import numpy as np
from bad_inputs import nifti_reference, png_reference
from bad_inputs.nifti_mutations import Base

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.verification.examination import examine

# A rotation is stored as a part of a quaternion, whose rest is ill-conditioned near half a turn.
ROTATION_TOLERANCE = 2e-3


def check_nifti(path: Path, base: Base, kind: str) -> str:
    """Read a file as the program does, and as the standard does."""
    options = ReadOptions(volume_index=base.volume_index)
    volume = read_volume(path, options)
    try:
        expected = nifti_reference.decode(path.read_bytes(), base.volume_index)
    except nifti_reference.BrokenNiftiError as error:
        raise AssertionError(f"read, though the standard forbids it: {error}") from error
    np.testing.assert_array_equal(volume.array, expected.array)
    assert volume.array.dtype == np.float32
    assert np.isfinite(volume.array).all()
    tolerance = 0 if expected.by_sform else ROTATION_TOLERANCE * max(volume.spacing_mm)
    np.testing.assert_allclose(volume.affine, expected.affine, rtol=0, atol=tolerance)
    if kind.startswith("packed") or kind == "unchanged":  # a checksum stands for these
        sound = nifti_reference.decode(base.content, base.volume_index)
        np.testing.assert_array_equal(volume.array, sound.array)
    _check_use(path, options, volume.array.shape, volume.affine)
    return "read"


def check_png(path: Path, sound: bytes, kind: str) -> str:
    """Likewise."""
    volume = read_volume(path)
    try:
        expected = png_reference.decode(path.read_bytes())
    except png_reference.BrokenPNGError as error:
        raise AssertionError(f"read, though the standard forbids it: {error}") from error
    np.testing.assert_array_equal(volume.array, expected[None].astype(np.float32))
    if kind in ("unchanged", "bits", "extended"):
        np.testing.assert_array_equal(volume.array[0], png_reference.decode(sound))
    _check_use(path, ReadOptions(), volume.array.shape, volume.affine)
    return "read"


def _check_use(path: Path, options: ReadOptions, shape: tuple[int, ...], affine: np.ndarray) -> None:
    """Whatever is read has the shape that its header promises, and can be examined or is empty."""
    claimed_shape, claimed_affine = read_shape(path, options)
    assert claimed_shape == shape
    np.testing.assert_array_equal(claimed_affine, affine)
    examined = examine(Scan("sub-01", "", "T1w", path), options)
    if examined.facts is None:
        (finding,) = examined.findings
        assert "all voxels have the same value" in finding.problem, finding
    else:
        json.dumps(vars(examined.facts), allow_nan=False)
