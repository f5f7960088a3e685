"""FreeSurfer's volumes, beside nibabel's reading of them."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.mgh import MAX_TRAILER_BYTES
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.volume import ReadOptions

AFFINE = np.eye(4)
AFFINE[:3, :3] = Rotation.from_euler("xyz", [80, -8, 170], degrees=True).as_matrix() * (0.9, 1.1, 2.5)
AFFINE[:3, 3] = 80, -120, -70
ARRAY = np.random.default_rng(0).integers(0, 250, (5, 6, 7)).astype(np.int16)


def content(array=ARRAY) -> bytearray:
    image = nibabel.MGHImage(array, AFFINE)
    return bytearray(image.to_bytes())


def patched(offset, form, *values, array=ARRAY) -> bytearray:
    changed = content(array)
    struct.pack_into(form, changed, offset, *values)
    return changed


def save(path, whole: bytes):
    path.write_bytes(gzip.compress(whole) if path.suffix == ".mgz" else whole)
    return path


@pytest.mark.parametrize("name", ["scan.mgh", "scan.mgz", "SCAN.MGZ"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.uint16])
def test_voxels_and_affine_are_nibabels(tmp_path, name, dtype):
    array = ARRAY.astype(dtype)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content(array)) if name.lower().endswith("mgz") else content(array))
    volume = read_volume(path)
    image = nibabel.MGHImage.from_bytes(bytes(content(array)))
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_array_equal(volume.array, image.get_fdata())
    np.testing.assert_allclose(volume.affine, image.affine, atol=1e-6)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.warnings == ()
    shape, affine = read_shape(path)
    assert shape == volume.array.shape
    np.testing.assert_array_equal(affine, volume.affine)


def test_notes_behind_the_voxels_are_read_but_not_a_further_image(tmp_path):
    np.testing.assert_array_equal(read_volume(save(tmp_path / "a.mgz", content() + bytes(5000))).array, ARRAY)
    for name in ("b.mgz", "b.mgh"):
        path = save(tmp_path / name, content() + np.random.default_rng(0).bytes(MAX_TRAILER_BYTES))
        with pytest.raises(UnfitFile, match="after the last voxel, so header and voxels disagree"):
            read_volume(path)


def test_one_frame_of_several_is_chosen(tmp_path):
    frames = np.stack([ARRAY, ARRAY + 1, ARRAY + 2], axis=-1)
    path = save(tmp_path / "scan.mgz", content(frames))
    with pytest.raises(UnfitFile, match=r"4-D image \(5, 6, 7, 3\); expected one 3-D volume. Set data.volume_index"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, ReadOptions(volume_index=2)).array, ARRAY + 2)


def test_without_a_place_the_user_says_how_it_lies(tmp_path):
    path = save(tmp_path / "scan.mgh", patched(28, ">h", 0))
    with pytest.raises(UnfitFile, match="goodRASFlag is not set, so left and right are unknown.*assume_orientation"):
        read_volume(path)
    volume = read_volume(path, ReadOptions(assume_orientation="LIA"))
    assert nibabel.aff2axcodes(volume.affine) == ("L", "I", "A")
    assert volume.spacing_mm == (1, 1, 1)
    assert "goodRASFlag is not set; LIA is assumed" in str(volume.warnings[0])


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        (content()[:200], "200 bytes are too few"),
        (content()[:500], "truncated"),
        (patched(0, ">i", 2), "no FreeSurfer volume"),
        (patched(4, ">i", -5), r"dimensions \(-5, 6, 7, 1\)"),
        (patched(4, ">3i", 2**30, 2**30, 2**30), "voxels; at most"),
        (patched(4, ">3i", 400, 400, 400), "truncated: the header claims 128,000,284 bytes"),
        (patched(16, ">i", 2**30), "4-D image"),
        (patched(20, ">i", 7), "unknown voxel type 7"),
        (patched(30, ">f", 0.0), "voxel sizes"),
        (patched(30, ">f", np.nan), "voxel sizes"),
        (patched(42, ">3f", 0, 0, 0), "affine is singular"),
        (patched(78, ">f", np.inf), "affine is singular or not finite"),
    ],
)
@pytest.mark.parametrize("name", ["scan.mgh", "scan.mgz"])
def test_broken_headers_are_refused(tmp_path, whole, words, name):
    with pytest.raises(UnfitFile, match=words):
        read_volume(save(tmp_path / name, whole))


def test_nan_voxels_are_refused_and_doubtful_voxel_sizes_told(tmp_path):
    array = ARRAY.astype(np.float32)
    array[0, 0, 0] = np.nan
    with pytest.raises(UnfitFile, match="1 of 210 voxels are NaN"):
        read_volume(save(tmp_path / "nan.mgz", content(array)))
    (warning,) = read_volume(save(tmp_path / "thick.mgz", patched(30, ">f", 30.0))).warnings
    assert "no plausible head scan" in str(warning)


@pytest.mark.parametrize(
    ("name", "whole", "words"),
    [
        ("a.mgz", bytes(content()), "not compressed, though named .mgz. Rename it to .mgh."),
        ("a.mgh", gzip.compress(content()), "gzip data in a file named .mgh. Rename it to .mgz."),
        ("a.mgz", b"", "the file is empty"),
        ("a.mgz", b"some text", "neither gzip data nor an .mgh volume"),
        ("a.mgh", b"some text", "no FreeSurfer volume"),
        ("a.mgz", gzip.compress(content())[:-4], "truncated or broken"),
        ("a.mgz", gzip.compress(content())[:-8] + bytes(8), "CRC check failed"),
    ],
)
def test_broken_compression_is_refused(tmp_path, name, whole, words):
    (tmp_path / name).write_bytes(whole)
    with pytest.raises(UnfitFile, match=words):
        read_volume(tmp_path / name)
