import errno
import os
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.nifti import write_volume
from mri_cyclegan.data.formats.picture import PICTURE_AFFINE
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.volume import ReadOptions

AFFINE = np.array([[-0.9, 0.4, 0, 80], [0.1, 1.1, 0.2, -120], [0, -0.2, 2.5, -70], [0, 0, 0, 1.0]])


@pytest.fixture
def random():
    return np.random.default_rng(0)


def refusal(path, **arguments) -> str:
    """The message of a refusal, which starts with the file's path and ends with the way out."""
    with pytest.raises(UnfitFile) as caught:
        read_volume(path, ReadOptions(**arguments))
    assert caught.value.finding.path == path
    assert caught.value.finding.remedy.endswith(".")
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def patch(path: Path, offset: int, form: str, *values) -> Path:
    """Overwrite header fields of an uncompressed NIfTI file."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


def write_png16(path: Path, array: np.ndarray) -> Path:
    """A 16-bit PNG of (H, W), (H, W, 2) or (H, W, 3), made by the letter of the PNG specification."""
    color_type = {1: 0, 2: 4, 3: 2}[array.shape[2] if array.ndim == 3 else 1]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, color_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


# NIfTI: what is accepted


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_written_volume_reads_back_with_its_values_and_affine(tmp_path, random, name):
    array = random.normal(0, 100, (5, 6, 7)).astype(np.float32)
    write_volume(tmp_path / name, array, AFFINE)
    volume = read_volume(tmp_path / name)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_a_written_file_is_what_nibabel_expects(tmp_path, random):
    array = random.integers(0, 60000, (4, 5, 6)).astype(np.uint16)
    write_volume(tmp_path / "scan.nii.gz", array, AFFINE)
    image = nibabel.load(tmp_path / "scan.nii.gz")
    assert image.get_data_dtype() == np.uint16
    assert image.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_array_equal(image.get_fdata(), array)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


def test_spacing_is_the_distance_of_neighboring_voxels(tmp_path, random, save_nifti):
    volume = read_volume(save_nifti(tmp_path / "scan.nii", random.random((4, 4, 4)).astype(np.float32), AFFINE))
    expected = nibabel.affines.voxel_sizes(AFFINE)
    np.testing.assert_allclose(volume.spacing_mm, expected, rtol=1e-5)


def test_scaling_of_the_header_is_applied(tmp_path, save_nifti):
    stored = np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)
    path = patch(save_nifti(tmp_path / "scan.nii", stored), 112, "<ff", 0.5, 10.0)
    np.testing.assert_array_equal(read_volume(path).array, 0.5 * stored + 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_every_gray_voxel_type_is_read_exactly(tmp_path, dtype):
    high = 65535 if dtype in (np.uint16, np.int32, np.float32, np.float64) else np.iinfo(dtype).max
    array = np.linspace(0, high, 60).astype(dtype).reshape(3, 4, 5)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE, dtype=dtype), tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(volume.array, array.astype(np.float32))
    assert volume.array.max() == high


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1), (4, 5, 6), (4, 5, 1), (4, 5)])
def test_axes_of_length_one_are_squeezed_or_added_to_make_three(tmp_path, random, save_nifti, shape):
    array = random.random(shape).astype(np.float32)
    volume = read_volume(save_nifti(tmp_path / "scan.nii.gz", array))
    np.testing.assert_array_equal(volume.array, array.reshape((*shape, 1)[:3]))


def test_a_4d_image_is_refused_with_the_way_out(tmp_path, random, save_nifti):
    path = save_nifti(tmp_path / "scan.nii.gz", random.random((4, 5, 6, 3)).astype(np.float32))
    message = refusal(path)
    assert message.startswith("4-D image (4, 5, 6, 3); expected one 3-D volume.")
    assert "data.volume_index" in message
    assert "Download" not in message


@pytest.mark.parametrize("index", [0, 2])
def test_volume_index_takes_one_volume_of_a_4d_image(tmp_path, random, save_nifti, index):
    array = random.random((4, 5, 6, 3)).astype(np.float32)
    volume = read_volume(save_nifti(tmp_path / "scan.nii.gz", array), ReadOptions(volume_index=index))
    np.testing.assert_array_equal(volume.array, array[..., index])


@pytest.mark.parametrize("index", [3, -1])
def test_a_volume_index_beyond_the_file_is_refused(tmp_path, random, save_nifti, index):
    path = save_nifti(tmp_path / "scan.nii.gz", random.random((4, 5, 6, 3)).astype(np.float32))
    assert refusal(path, volume_index=index).startswith(f"data.volume_index={index}, but the file holds volumes 0 to 2")


def test_volume_index_does_not_matter_to_a_3d_image(tmp_path, random, save_nifti):
    array = random.random((4, 5, 6)).astype(np.float32)
    volume = read_volume(save_nifti(tmp_path / "scan.nii.gz", array), ReadOptions(volume_index=2))
    np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize("name", ["sub 01 T1w.nii.gz", "scan #2.nii", "Müller_头.nii.gz", "a=b,c.nii"])
def test_awkward_names_are_read_and_written(tmp_path, random, name):
    folder = tmp_path / "Ordner #1 é"
    folder.mkdir()
    array = random.random((3, 4, 5)).astype(np.float32)
    write_volume(folder / name, array, AFFINE)
    assert [path.name for path in folder.iterdir()] == [name]
    np.testing.assert_array_equal(read_volume(folder / name).array, array)


# NIfTI: what is refused


@pytest.mark.parametrize("dtype", [np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), np.dtype(np.complex64)])
def test_color_and_complex_voxels_are_refused(tmp_path, dtype):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), dtype), np.eye(4)), tmp_path / "scan.nii.gz")
    assert "expected real gray values" in refusal(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("shape", [(3, 4, 5, 1, 2), (3, 4, 5, 2, 2)])
def test_a_5d_image_is_refused(tmp_path, save_nifti, shape):
    path = save_nifti(tmp_path / "scan.nii.gz", np.zeros(shape, np.float32))
    assert refusal(path, volume_index=0).startswith(f"5-D image {shape}; expected one 3-D volume.")


def test_nan_and_infinite_voxels_are_counted_and_refused(tmp_path, save_nifti):
    array = np.zeros((4, 4, 4), np.float32)
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, -np.inf
    assert refusal(save_nifti(tmp_path / "scan.nii.gz", array)).startswith("3 of 64 voxels are NaN or infinite")


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_gz_file_is_refused_by_name(tmp_path, random, save_nifti, share):
    path = save_nifti(tmp_path / "scan.nii.gz", random.random((16, 16, 16)).astype(np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refusal(path)


@pytest.mark.parametrize("start", [15, 40_000])
def test_a_gz_file_with_broken_bytes_is_refused_by_name(tmp_path, random, save_nifti, start):
    # Noise that does not compress is stored in blocks, whose headers break.
    path = save_nifti(tmp_path / "scan.nii.gz", random.integers(0, 256, (48, 48, 48)).astype(np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[:start] + b"\xff" * (len(content) - start))
    assert "invalid" in refusal(path)


@pytest.mark.parametrize("length", [100, 352, 1000])
def test_a_truncated_nii_file_is_refused_by_name(tmp_path, random, save_nifti, length):
    path = save_nifti(tmp_path / "scan.nii", random.random((8, 8, 8)).astype(np.float32))
    path.write_bytes(path.read_bytes()[:length])
    refusal(path)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("content", [b"", b"this is not an image\n", b"\x1f\x8b", bytes(400), b"<!DOCTYPE html>" * 50])
def test_a_file_that_is_not_an_image_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name)


def test_an_uncompressed_file_named_gz_is_refused_by_name(tmp_path, save_nifti):
    path = save_nifti(tmp_path / "scan.nii", np.ones((4, 4, 4), np.float32)).rename(tmp_path / "scan.nii.gz")
    refusal(path)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(344, "<4s", b"abcd"), (108, "<f", 1e6), (108, "<f", -5.0), (108, "<f", float("nan"))]
    + [(70, "<h", 999), (70, "<h", 1), (40, "<h", 200), (42, "<h", -4), (42, "<h", 0), (40, "<h", 0)],
    ids=["magic", "offset beyond the end", "negative offset", "NaN offset"]
    + ["unknown type", "binary type", "200 axes", "negative size", "zero size", "no axes"],
)
def test_a_broken_header_is_refused_by_name(tmp_path, save_nifti, offset, form, value):
    refusal(patch(save_nifti(tmp_path / "scan.nii", np.ones((4, 4, 4), np.float32)), offset, form, value))


def test_negative_sizes_are_named(tmp_path, save_nifti):
    path = patch(save_nifti(tmp_path / "scan.nii", np.ones((4, 4, 4), np.float32)), 42, "<h", -4)
    assert refusal(path).startswith("dimensions (-4, 4, 4); expected one 3-D volume.")


def test_a_scan_without_orientation_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    assert "neither sform nor qform" in refusal(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_singular_or_broken_affine_is_refused(tmp_path, save_nifti, value):
    path = save_nifti(tmp_path / "scan.nii", np.ones((3, 4, 5), np.float32), AFFINE)
    patch(path, 280, "<4f", value, value, value, 0.0)
    assert "affine is singular" in refusal(path)


def test_another_format_under_a_nifti_name_is_refused(tmp_path):
    image = nibabel.MGHImage(np.ones((3, 4, 5), np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "scan.mgz")
    path = (tmp_path / "scan.mgz").rename(tmp_path / "scan.nii.gz")
    refusal(path)


@pytest.mark.parametrize("name", ["missing.nii.gz", "missing.nii", "missing.png"])
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["folder.nii.gz", "folder.png"])
def test_a_folder_with_the_name_of_a_file_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    refusal(tmp_path / name)


def test_an_unknown_file_type_is_refused_with_those_expected(tmp_path):
    (tmp_path / "scan.txt").write_bytes(b"x")
    assert refusal(tmp_path / "scan.txt") == (
        "unknown file type. Expected .nii, .nii.gz, .img, .img.gz, .mgh, .mgz, .png, .jpg, .jpeg, "
        "or a folder of DICOM files."
    )
    (tmp_path / "scan.nrrd").write_bytes(b"x")
    assert refusal(tmp_path / "scan.nrrd").startswith("NRRD files are not read. Convert it to NIfTI")


# PNG


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_gray_png_is_exact_and_the_right_way_up(tmp_path, random, dtype):
    picture = random.integers(0, np.iinfo(dtype).max + 1, (5, 7)).astype(dtype)
    picture[0, 6] = np.iinfo(dtype).max
    Image.fromarray(picture).save(tmp_path / "slice 1 #2 é.png")
    volume = read_volume(tmp_path / "slice 1 #2 é.png")
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, picture[None])
    np.testing.assert_array_equal(volume.affine, PICTURE_AFFINE)


def test_a_pictures_axes_run_to_superior_posterior_and_left(tmp_path):
    Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2)).save(tmp_path / "a.png")
    assert nibabel.aff2axcodes(read_volume(tmp_path / "a.png").affine) == ("S", "P", "L")


@pytest.mark.parametrize("mode", ["LA", "RGB", "RGBA"])
def test_a_gray_picture_in_a_color_mode_is_read_as_gray(tmp_path, random, mode):
    picture = random.integers(0, 256, (5, 7)).astype(np.uint8)
    gray = Image.fromarray(picture)
    colored = gray.convert(mode)
    if mode in ("LA", "RGBA"):
        colored.putalpha(Image.fromarray(random.integers(0, 256, (5, 7)).astype(np.uint8)))
    colored.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.png").array, picture[None])


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_color_picture_is_refused(tmp_path, random, channel):
    picture = np.repeat(random.integers(0, 250, (5, 7, 1)).astype(np.uint8), 3, axis=2)
    picture[2, 3, channel] += 5
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png").startswith("color picture (RGB); expected gray")


@pytest.mark.parametrize("num_channels", [2, 3])
def test_16_bits_are_never_squeezed_through_8(tmp_path, num_channels):
    # Pillow keeps 16 bits of pure gray alone; of other 16-bit pictures it hands out the high bytes.
    gray = (np.arange(20).reshape(4, 5) * 1000).astype(np.uint16)
    np.testing.assert_array_equal(read_volume(write_png16(tmp_path / "gray.png", gray)).array, gray[None])
    path = write_png16(tmp_path / "channels.png", np.stack([gray] * num_channels, axis=-1))
    assert "16-bit" in refusal(path)


def test_a_palette_is_resolved(tmp_path, random):
    indices = random.integers(0, 256, (5, 7)).astype(np.uint8)
    picture = Image.fromarray(indices, mode="P")
    picture.putpalette([255 - index for index in range(256) for _ in range(3)])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.png").array, 255.0 - indices[None])


def test_a_colored_palette_is_refused(tmp_path):
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3), mode="P")
    picture.putpalette([value for index in range(256) for value in (index, 0, 255 - index)])
    picture.save(tmp_path / "a.png")
    assert "color picture (P)" in refusal(tmp_path / "a.png")


def test_a_black_and_white_png_is_refused(tmp_path):
    Image.new("1", (4, 4)).save(tmp_path / "a.png")
    assert "black-and-white" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_a_truncated_png_is_refused_by_name(tmp_path, random, share):
    path = tmp_path / "a.png"
    Image.fromarray(random.integers(0, 256, (40, 40)).astype(np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refusal(path)


# Writing


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "scan.nii.gz"
    write_volume(path, np.ones((3, 4, 5), np.float32), np.eye(4))
    before = path.read_bytes()

    def fill_the_disk(image, name):
        Path(name).write_bytes(b"half a file")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nibabel, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_volume(path, np.zeros((3, 4, 5), np.float32), np.eye(4))
    assert [found.name for found in tmp_path.iterdir()] == ["scan.nii.gz"]
    assert path.read_bytes() == before


def test_a_write_replaces_the_old_file(tmp_path):
    for value in (1, 2):
        write_volume(tmp_path / "scan.nii", np.full((3, 4, 5), value, np.float32), np.eye(4))
    assert (read_volume(tmp_path / "scan.nii").array == 2).all()


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    previous = os.umask(0o022)
    try:
        write_volume(tmp_path / "scan.nii.gz", np.ones((3, 4, 5), np.float32), np.eye(4))
    finally:
        os.umask(previous)
    assert (tmp_path / "scan.nii.gz").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("read", [read_volume, read_shape])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.png"])
def test_a_pipe_is_not_waited_for(tmp_path, read, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnfitFile, match=r"a\.\S+: no plain file"):
        read(tmp_path / name)
