"""Header and voxels in two files, beside nibabel's reading of them."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.source_hash import SourceHashes, source_bytes
from mri_cyclegan.data.volume import ReadOptions

AFFINE = np.eye(4)
AFFINE[:3, :3] = Rotation.from_euler("xyz", [17, -8, 170], degrees=True).as_matrix() * (0.9, 1.1, 2.5)
AFFINE[:3, 3] = 80, -120, -70
ARRAY = np.random.default_rng(0).integers(-500, 1000, (5, 6, 7)).astype(np.int16)


def save(folder, kind=nibabel.Nifti1Pair, array=ARRAY, name="scan.img", affine=AFFINE):
    nibabel.save(kind(array, affine), folder / name)
    return folder / name


def patch(path, offset, form, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)


@pytest.mark.parametrize("named", [".img", ".hdr"])
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
def test_either_file_gives_nibabels_volume(tmp_path, kind, packed, named):
    path = save(tmp_path, kind, name=f"scan.img{packed}")
    path = path.with_name(f"scan{named}{packed}")
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, nibabel.load(path).affine, atol=1e-6)
    assert volume.warnings == ()
    shape, affine = read_shape(path)
    assert shape == ARRAY.shape
    np.testing.assert_array_equal(affine, volume.affine)


@pytest.mark.parametrize("names", [("scan.IMG", "scan.HDR"), ("scan.img", "scan.hdr.gz"), ("scan.img.gz", "scan.hdr")])
def test_case_and_compression_of_the_two_may_differ(tmp_path, names):
    save(tmp_path, name="plain.img")
    for name, source in zip(names, ("plain.img", "plain.hdr")):
        content = (tmp_path / source).read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    for name in names:
        np.testing.assert_array_equal(read_volume(tmp_path / name).array, ARRAY)


@pytest.mark.parametrize("kind", [nibabel.AnalyzeImage, nibabel.Spm99AnalyzeImage, nibabel.Spm2AnalyzeImage])
def test_analyze_needs_an_orientation(tmp_path, kind):
    path = save(tmp_path, kind, affine=np.diag([0.9, 1.1, 2.5, 1]))
    with pytest.raises(UnfitFile, match="Analyze 7.5 keeps no orientation, so left and right are unknown.*Convert"):
        read_volume(path)
    volume = read_volume(path, ReadOptions(assume_orientation="LAS"))
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert nibabel.aff2axcodes(volume.affine) == ("L", "A", "S")
    np.testing.assert_allclose(volume.spacing_mm, (0.9, 1.1, 2.5), rtol=1e-6)
    assert "LAS is assumed" in str(volume.warnings[0])


def test_what_analyze_keeps_in_the_place_of_an_orientation_is_none(tmp_path):
    path = save(tmp_path, nibabel.Spm99AnalyzeImage, affine=np.diag([0.9, 1.1, 2.5, 1]))
    patch(path.with_suffix(".hdr"), 252, "<2h", 1, 1)
    with pytest.raises(UnfitFile, match="Analyze 7.5 keeps no orientation"):
        read_volume(path)


def test_scaling_is_nibabels(tmp_path):
    stored = np.linspace(-3.7, 91.2, 210).reshape(5, 6, 7)
    for kind in (nibabel.Spm99AnalyzeImage, nibabel.Spm2AnalyzeImage, nibabel.Nifti1Pair):
        image = kind(stored, np.diag([1.0, 1, 1, 1]))
        image.set_data_dtype(np.int16)
        nibabel.save(image, tmp_path / "scan.img")
        (tmp_path / "scan.mat").unlink(missing_ok=True)
        expected = nibabel.load(tmp_path / "scan.img").get_fdata()
        found = read_volume(tmp_path / "scan.img", ReadOptions(assume_orientation="RAS")).array
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        assert found.max() == pytest.approx(91.2, abs=0.1)


def test_one_volume_of_several_is_chosen(tmp_path):
    path = save(tmp_path, array=np.stack([ARRAY, ARRAY + 1], axis=-1))
    with pytest.raises(UnfitFile, match="4-D image .* Set data.volume_index"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, ReadOptions(volume_index=1)).array, ARRAY + 1)


@pytest.mark.parametrize(("kept", "missing"), [("scan.img", "scan.hdr"), ("scan.hdr", "scan.img")])
def test_a_missing_half_is_named(tmp_path, kept, missing):
    save(tmp_path)
    (tmp_path / missing).unlink()
    for read in (read_volume, read_shape, SourceHashes(tmp_path).of):
        with pytest.raises(
            UnfitFile, match=f"{kept}: {missing}, the file of its .*, is missing. Copy it beside {kept}"
        ):
            read(tmp_path / kept)
    assert source_bytes(tmp_path / kept) == 0


def spoil(path, name, change):
    """Change the content of one of the two files."""
    file = path.with_name(name)
    file.write_bytes(change(file.read_bytes()))
    return file


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("scan.img", lambda content: content[:-1], "truncated: the header claims 420 bytes"),
        ("scan.img", lambda content: content + b"\0", "1 bytes after the last voxel"),
        ("scan.img", lambda content: b"", "the file is empty"),
        ("scan.img", gzip.compress, "gzip data in a file named .img. Rename it to .img.gz."),
        ("scan.hdr", lambda content: b"", "the file is empty"),
        ("scan.hdr", lambda content: content[:300], "300 bytes are too few for a NIfTI header"),
        ("scan.hdr", lambda content: b"text" * 100, "no NIfTI header"),
        ("scan.hdr", lambda content: content[:344] + b"n+1\0" + content[348:], "in one file: rename it to .nii"),
        ("scan.hdr", lambda content: content[:42] + b"\xfc\xff" + content[44:], r"dimensions \(-4, 6, 7\)"),
        ("scan.hdr", lambda content: content[:108] + struct.pack("<f", -8) + content[112:], "bad data offset -8.0"),
        ("scan.hdr", lambda content: content[:70] + b"\xe7\x03" + content[72:], "unknown voxel type 999"),
        ("scan.hdr", lambda content: content + bytes(2**24 + 5), "bytes after the header"),
    ],
)
def test_the_file_that_is_broken_is_named(tmp_path, name, change, words):
    path = save(tmp_path)
    broken = spoil(path, name, change)
    with pytest.raises(UnfitFile, match=words) as caught:
        read_volume(path)
    assert caught.value.finding.path == broken


@pytest.mark.parametrize(("sizes", "words"), [((30_000,) * 3, "27,000,000,000,000 voxels"), ((400,) * 3, "truncated")])
def test_a_header_that_claims_what_no_file_holds_is_refused_before_reading(tmp_path, sizes, words):
    path = save(tmp_path, name="scan.img")
    patch(path.with_suffix(".hdr"), 42, "<3h", *sizes)
    for read in (read_volume, read_shape):
        with pytest.raises(UnfitFile, match=words):
            read(path)


@pytest.mark.parametrize("name", ["scan.img.gz", "scan.hdr.gz"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-8] + bytes(8), "CRC check failed"),
        (lambda content: content[:-3], "truncated or broken"),
        (gzip.decompress, r"not compressed, though named .(img|hdr).gz. Rename it to .(img|hdr)\."),
        (lambda content: b"\x1f\x8b\x08" + content[3:40], "truncated or broken|too few"),
    ],
)
def test_broken_compression_is_refused(tmp_path, name, change, words):
    path = save(tmp_path, name="scan.img.gz")
    broken = spoil(path, name, change)
    with pytest.raises(UnfitFile, match=words) as caught:
        read_volume(path)
    assert caught.value.finding.path == broken


def test_both_files_make_the_hash(tmp_path):
    path = save(tmp_path)
    hashes = SourceHashes(tmp_path / "notes")
    assert source_bytes(path) == path.stat().st_size + path.with_suffix(".hdr").stat().st_size
    found = {hashes.of(path)}
    for name, offset in (("scan.img", 3), ("scan.hdr", 292)):
        patch(tmp_path / name, offset, "<B", 7)
        found.add(hashes.of(path))
    assert len(found) == 3
    assert hashes.of(path) == hashes.of(path.with_suffix(".hdr"))
