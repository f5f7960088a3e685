import contextlib
import gzip
import logging
import os
import shutil
import subprocess
import sys
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from bad_inputs.dicom_series import PATIENT, SERIES_UID, write_series
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)
from scipy.spatial.transform import Rotation

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.dicom import read_series, series_files, series_shape
from mri_cyclegan.data.volume import ReadOptions, Volume

OTHER_UID = "1.2.826.0.1.3680043.10.1.2"
OPTIONS = ReadOptions()


def placed(axes, spacing=(0.9, 1.2, 3.5), origin=(80.5, -91.25, 33.0)):
    """Affine with the given directions of column, row and slice as columns."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(axes, float) * spacing
    affine[:3, 3] = origin
    return affine


ORIENTATIONS = {
    "axial": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "sagittal": [[0, 0, -1], [-1, 0, 0], [0, -1, 0]],
    "coronal": [[-1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "oblique": Rotation.from_euler("xyz", [17, -8, 5], degrees=True).as_matrix() @ np.diag([-1, -1, 1]),
    "far oblique": Rotation.from_euler("xyz", [40, 38, -50], degrees=True).as_matrix(),
}
AFFINE = placed(ORIENTATIONS["oblique"])


@pytest.fixture
def array():
    """Stored values, (column, row, slice)."""
    return np.random.default_rng(0).integers(0, 4000, (7, 6, 5)).astype(np.int16)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "series"


def refusal(folder: Path, path: Path | None = None, options=OPTIONS, headers_show=True) -> str:
    """The message without its path, the same by headers alone where they show it; never with the patient in it."""
    messages = []
    for function in (read_series, series_shape) if headers_show else (read_series,):
        with pytest.raises(UnfitFile) as caught:
            function(folder, options)
        finding = caught.value.finding
        assert finding.path == (path or folder)
        assert finding.problem
        assert finding.remedy
        messages.append(str(caught.value))
    assert len(set(messages)) == 1
    assert not any(word in messages[0] for text in PATIENT for word in text.split("^"))
    return messages[0].removeprefix(f"{path or folder}: ")


def only(index: int, **tags):
    """A change of one slice's tags; None removes a tag."""

    def change(dataset, at):
        if at == index:
            every(**tags)(dataset, at)

    return change


def every(**tags):
    """A change of all slices' tags."""

    def change(dataset, index):
        for keyword, value in tags.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)

    return change


def canonical(array, affine):
    return nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(array, np.float32), affine))


# What is read


@pytest.mark.parametrize("reverse", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("flip", [1, -1], ids=["along the normal", "against the normal"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_series_is_read_as_written_and_as_dcm2niix_converts_it(tmp_path, array, orientation, flip, reverse):
    affine = placed(ORIENTATIONS[orientation] @ np.diag([1, 1, flip]))
    write_series(tmp_path / "series", array, affine, reverse=reverse, shuffle=True)
    volume = read_series(tmp_path / "series", OPTIONS)
    assert volume.array.dtype == np.float32
    assert volume.warnings == ()
    read, written = canonical(volume.array, volume.affine), canonical(array, affine)
    np.testing.assert_array_equal(read.dataobj, written.dataobj)
    np.testing.assert_allclose(read.affine, written.affine, rtol=0, atol=1e-9)

    converted = nibabel.as_closest_canonical(nibabel.load(dcm2niix_of(tmp_path / "series", tmp_path)))
    np.testing.assert_array_equal(read.dataobj, converted.get_fdata())
    np.testing.assert_allclose(read.affine, converted.affine, rtol=0, atol=1e-4)


def dcm2niix_of(series: Path, folder: Path) -> Path:
    dcm2niix = pytest.importorskip("dcm2niix")
    subprocess.run(
        [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "converted", "-o", folder, series], check=True, capture_output=True
    )
    (path,) = folder.glob("converted*.nii")
    return path


@pytest.mark.parametrize("reverse", [False, True])
def test_slices_are_sorted_along_the_normal(folder, array, reverse):
    # Columns run to the left and rows to the back, so the normal points up.
    affine = placed(ORIENTATIONS["axial"])
    write_series(folder, array, affine, reverse=reverse, shuffle=True)
    volume = read_series(folder, OPTIONS)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, affine, rtol=0, atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, (0.9, 1.2, 3.5))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("shape", [(7, 6, 3), (7, 5, 3)], ids=["even", "odd"])
def test_stored_values_of_8_and_16_bits_are_exact(folder, dtype, syntax, shape):
    limits = np.iinfo(dtype)
    array = np.random.default_rng(1).integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)
    array.flat[:2] = limits.min, limits.max
    write_series(folder, array, placed(ORIENTATIONS["axial"]), syntax=syntax)
    np.testing.assert_array_equal(read_series(folder, OPTIONS).array, array.astype(np.float32))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_bits_above_those_stored_do_not_count(folder, array, syntax):
    def add_overlay(dataset, index):
        dataset.PixelRepresentation = 0
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | 0x9000).tobytes()
        if syntax != ExplicitVRLittleEndian:
            compress(syntax)(dataset, index)
        dataset.BitsStored, dataset.HighBit = 12, 11

    write_series(folder, array, placed(ORIENTATIONS["axial"]), change=add_overlay)
    np.testing.assert_array_equal(read_series(folder, OPTIONS).array, array)


def test_bits_above_those_stored_do_not_count_for_values_below_zero(folder):
    signed = np.linspace(-2048, 2047, 60).astype(np.int16).reshape(5, 4, 3)

    def add_overlay(dataset, index):
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") & 0x0FFF | 0x1000).tobytes()

    write_series(folder, signed, placed(ORIENTATIONS["axial"]), change=add_overlay)
    np.testing.assert_array_equal(read_series(folder, OPTIONS).array, signed)


def test_every_image_has_its_own_rescaling(folder, array):
    slopes = [0.5, 1, 2, 1.25, 3]
    write_series(
        folder,
        array,
        placed(ORIENTATIONS["axial"]),
        change=lambda dataset, index: every(RescaleSlope=slopes[index], RescaleIntercept=-index)(dataset, index),
    )
    np.testing.assert_allclose(read_series(folder, OPTIONS).array, array * np.array(slopes) - np.arange(5))


def test_rescaled_values_are_those_of_dcm2niix(tmp_path, array):
    write_series(tmp_path / "series", array, AFFINE, change=every(RescaleSlope="0.25", RescaleIntercept="-512"))
    volume = read_series(tmp_path / "series", OPTIONS)
    converted = nibabel.as_closest_canonical(nibabel.load(dcm2niix_of(tmp_path / "series", tmp_path)))
    np.testing.assert_array_equal(canonical(volume.array, volume.affine).dataobj, converted.get_fdata())
    assert volume.array.min() < 0


@pytest.mark.parametrize("variant", ["", "_implicit", "_bigendian", "_RLE", "_jp2klossless"])
def test_a_scanners_image_is_read_as_dcm2niix_converts_it(tmp_path, variant):
    source = pydicom.data.get_testdata_file(f"MR_small{variant}.dcm", download=False)
    (tmp_path / "series").mkdir()
    shutil.copy(source, tmp_path / "series")
    volume = read_series(tmp_path / "series", OPTIONS)
    read = canonical(volume.array, volume.affine)
    converted = nibabel.as_closest_canonical(nibabel.load(dcm2niix_of(tmp_path / "series", tmp_path)))
    np.testing.assert_array_equal(read.dataobj, converted.get_fdata())
    np.testing.assert_allclose(read.affine, converted.affine, rtol=0, atol=1e-4)


def compress(syntax):
    def change(dataset, index):
        if syntax == RLELossless:
            dataset.compress(RLELossless, generate_instance_uid=False)
            return
        image = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        stream = BytesIO()
        Image.fromarray(image).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
        dataset.PixelData = encapsulate([stream.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax

    return change


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_images_are_decoded_where_a_decoder_is_at_hand(tmp_path, syntax):
    array = np.random.default_rng(0).integers(0, 65536, (40, 36, 3)).astype(np.uint16)
    write_series(tmp_path / "series", array, AFFINE, change=compress(syntax))
    volume = read_series(tmp_path / "series", OPTIONS)
    np.testing.assert_array_equal(canonical(volume.array, volume.affine).dataobj, canonical(array, AFFINE).dataobj)


def test_a_compressed_stream_far_longer_than_its_image_is_refused(folder, array):
    def bloat(dataset, index):
        compress(RLELossless)(dataset, index)
        dataset.PixelData = encapsulate([dataset.PixelData + bytes(5000)])

    paths = write_series(folder, array, AFFINE, change=bloat)
    message = refusal(folder, paths[0])
    assert "expected less than the 84 bytes they encode" in message
    assert "dcm2niix" in message


def test_lossy_compression_is_told(folder, array):
    write_series(folder, array, AFFINE, change=every(LossyImageCompression="01"))
    (warning,) = read_series(folder, OPTIONS).warnings
    assert "compressed with loss" in str(warning)
    assert warning.severity == "warning"


@pytest.mark.parametrize("name", ["{:d}", "1.2.840.{:d}", "Bild {:d} é #1.IMA", "头{:d}.dcm", "slice {:02d}.DcM"])
def test_any_name_will_do(tmp_path, array, name):
    folder = tmp_path / "Ordner #1 é 头"
    paths = write_series(folder, array, placed(ORIENTATIONS["axial"]), name=name.format)
    assert series_files(folder) == sorted(paths)
    np.testing.assert_array_equal(read_series(folder, OPTIONS).array, array)


def test_what_is_not_an_image_of_the_folder_is_ignored(folder, array):
    paths = write_series(folder, array, placed(ORIENTATIONS["axial"]))
    for name in ("DICOMDIR", ".hidden.dcm", "._IM0001.dcm"):
        (folder / name).write_bytes(paths[0].read_bytes())
    (folder / "notes.txt").write_text("a phantom")
    (folder / "scan.json").write_text("{}")
    (folder / "folder.dcm").mkdir()
    os.mkfifo(folder / "pipe.dcm")
    write_series(folder / "deeper", array, AFFINE)
    assert series_files(folder) == paths
    np.testing.assert_array_equal(read_series(folder, OPTIONS).array, array)


def test_a_folder_without_dicom_files_lists_none(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "broken link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "scan.nii.gz").write_bytes(b"\x1f\x8b")
    assert series_files(tmp_path) == []


def test_shape_and_affine_are_known_by_headers_alone(folder, array):
    write_series(folder, array, AFFINE, shuffle=True)
    volume = read_series(folder, OPTIONS)
    shape, affine = series_shape(folder, OPTIONS)
    assert shape == volume.array.shape == (7, 6, 5)
    np.testing.assert_array_equal(affine, volume.affine)


@pytest.mark.parametrize(
    ("tags", "thickness_mm", "num_warnings"),
    [
        (dict(SpacingBetweenSlices="4.5", SliceThickness="3"), 4.5, 0),
        (dict(SliceThickness="3"), 3, 0),
        (dict(SpacingBetweenSlices="0", SliceThickness="3"), 3, 0),
        (dict(SliceThickness=None), 1, 1),
    ],
    ids=["spacing", "thickness", "zero spacing", "neither"],
)
def test_a_single_slice_is_as_thick_as_its_tags_say(folder, array, tags, thickness_mm, num_warnings):
    write_series(folder, array[:, :, :1], AFFINE, change=every(**tags))
    volume = read_series(folder, OPTIONS)
    assert volume.array.shape == (7, 6, 1)
    assert volume.spacing_mm[2] == pytest.approx(thickness_mm)
    assert len(volume.warnings) == num_warnings
    assert all("taken to be 1 mm thick" in str(warning) for warning in volume.warnings)


def test_slices_shifted_in_their_plane_keep_their_places_with_a_warning(folder, array):
    affine = placed(ORIENTATIONS["axial"])
    affine[0, 2] = 0.7
    write_series(folder, array, affine)
    volume = read_series(folder, OPTIONS)
    np.testing.assert_allclose(volume.affine, affine, rtol=0, atol=1e-9)
    (warning,) = volume.warnings
    assert "shifted by 0.70 mm within its plane" in str(warning)


def test_positions_rounded_to_hundredths_are_even_enough(folder, array):
    def rounded(dataset, index):
        dataset.ImagePositionPatient = [round(float(value), 2) for value in dataset.ImagePositionPatient]

    affine = placed(ORIENTATIONS["oblique"], spacing=(0.9, 1.2, 0.4321))
    write_series(folder, array, affine, change=rounded)
    assert read_series(folder, OPTIONS).spacing_mm[2] == pytest.approx(0.4321, abs=0.005)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 3.3])
@pytest.mark.parametrize("orientation", ["axial", "oblique", "far oblique"])
def test_positions_rounded_to_tenths_are_no_missing_slice_but_one_left_out_is(folder, orientation, spacing):
    def rounded(dataset, index):
        dataset.ImagePositionPatient = [round(float(value), 1) for value in dataset.ImagePositionPatient]

    array = np.random.default_rng(0).integers(0, 4000, (4, 3, 40)).astype(np.int16)
    affine = placed(ORIENTATIONS[orientation], spacing=(0.9, 1.2, spacing), origin=(80.55, -91.25, 33.05))
    paths = write_series(folder, array, affine, change=rounded)
    volume = read_series(folder, OPTIONS)
    assert volume.spacing_mm[2] == pytest.approx(spacing, abs=0.2 / 39)
    assert volume.warnings == ()
    for missing in (1, 20, 38):
        content = paths[missing].read_bytes()
        paths[missing].unlink()
        assert "not evenly spaced" in refusal(folder)
        paths[missing].write_bytes(content)


@pytest.mark.parametrize("name", ["{}", "{}.dcm"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("cut", ["preamble", "preamble, mark and meta information"])
def test_files_without_a_preamble_are_read(folder, array, syntax, name, cut):
    paths = write_series(folder, array, AFFINE, syntax=syntax, name=name.format)
    for path in paths:
        content = path.read_bytes()
        length = 12 + int.from_bytes(content[140:144], "little") if cut.endswith("information") else 0
        path.write_bytes(content[132 + length :])
    assert series_files(folder) == paths
    volume = read_series(folder, OPTIONS)
    np.testing.assert_array_equal(canonical(volume.array, volume.affine).dataobj, canonical(array, AFFINE).dataobj)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08\0", bytes(200), b"some text, and a few words more" * 9, b"\x08\0\x05\0CS\x04\0TEXT" + bytes(99)]
    + [np.arange(2, 99, dtype="<i2").tobytes(), np.full(99, 8, "<i2").tobytes(), b"\x02\0\0\0\x02\0\0\0ab\x01\0\0\0"],
)
def test_what_does_not_begin_as_a_header_makes_no_series(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert series_files(tmp_path) == []


@pytest.mark.parametrize("name", ["IM{:04d}.dcm.gz", "IM{:04d}.IMA.GZ", "IM{:04d}.dcm"])
def test_compressed_files_are_refused_with_the_way_out(folder, array, name):
    paths = write_series(folder, array, AFFINE, name=name.format)
    for path in paths:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert series_files(folder) == paths
    assert "a compressed DICOM file. Decompress the files of the series with gunzip." in refusal(folder, paths[0])


@pytest.mark.parametrize(("told", "acquisitions"), [(5, 1), (7, 1), (3, 1), (5, 5), (1, 5)])
def test_a_count_that_contradicts_the_scanners_is_told(folder, array, told, acquisitions):
    def count(dataset, index):
        dataset.ImagesInAcquisition, dataset.AcquisitionNumber = told, index % acquisitions

    write_series(folder, array, AFFINE, change=count)
    warnings = read_series(folder, OPTIONS).warnings
    assert series_shape(folder, OPTIONS)[0] == (7, 6, 5)
    if told * acquisitions == 5:
        assert warnings == ()
    else:
        (warning,) = warnings
        assert f"5 images, but ImagesInAcquisition says {told * acquisitions}. Slices at an end may" in str(warning)


# Which series


def two_series(folder, array):
    write_series(folder, array, AFFINE, change=every(SeriesDescription="t1 mprage"))
    write_series(folder, array[:, :, :3] + 1, AFFINE, uid=OTHER_UID, name="B{}".format)


def test_several_series_are_listed_with_their_images(folder, array):
    two_series(folder, array)
    message = refusal(folder)
    assert message.startswith("2 series in one folder")
    assert f"{SERIES_UID} (images: 5, 't1 mprage')" in message
    assert f"{OTHER_UID} (images: 3, 't1 phantom')" in message
    assert "data.series_uids=[" in message
    assert "folder of its own" in message


@pytest.mark.parametrize(("uid", "num_slices"), [(SERIES_UID, 5), (OTHER_UID, 3)])
def test_series_uids_choose_one_of_several_series(folder, array, uid, num_slices):
    two_series(folder, array)
    options = ReadOptions(series_uids=("1.2.3", uid))
    assert read_series(folder, options).array.shape == (7, 6, num_slices)
    assert series_shape(folder, options)[0] == (7, 6, num_slices)


@pytest.mark.parametrize("uids", [("1.2.3",), (SERIES_UID, OTHER_UID)], ids=["none", "both"])
def test_series_uids_must_choose_exactly_one_of_several(folder, array, uids):
    two_series(folder, array)
    num_named = len(set(uids) & {SERIES_UID, OTHER_UID})
    assert f"data.series_uids names {num_named}" in refusal(folder, options=ReadOptions(series_uids=uids))


def test_series_uids_do_not_matter_to_a_folder_of_one_series(folder, array):
    write_series(folder, array, AFFINE)
    assert read_series(folder, ReadOptions(series_uids=("1.2.3",))).array.shape == (7, 6, 5)


def test_files_of_a_series_not_chosen_may_be_unfit(folder, array):
    write_series(folder, array, AFFINE)
    write_series(folder, array, AFFINE, uid=OTHER_UID, name="B{}".format, change=every(Modality="SR", PixelData=None))
    assert read_series(folder, ReadOptions(series_uids=(SERIES_UID,))).array.shape == (7, 6, 5)


# What is refused


@pytest.mark.parametrize("files", [[], ["notes.txt"], ["deeper/IM1.dcm"]], ids=["empty", "text", "deeper"])
def test_a_folder_without_dicom_files_is_refused(folder, files):
    folder.mkdir()
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("text")
    message = refusal(folder)
    assert message.startswith("no DICOM files")
    assert ".dcm" in message


# Changes of one image to words of the refusal that names its file.
SPOILED_IMAGES = {
    "frames": (dict(NumberOfFrames=4), ["multi-frame image (frames: 4)", "dcm2niix"]),
    "enhanced": (dict(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1"), ["multi-frame", "dcm2niix"]),
    "mosaic": (dict(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), ["mosaic", "dcm2niix"]),
    "localizer": (dict(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), ["localizer", "Leave it out"]),
    "CT": (dict(Modality="CT"), ["Modality is CT; expected MR", "Leave it out"]),
    "no modality": (dict(Modality=None), ["Modality is missing"]),
    "inverted": (dict(PhotometricInterpretation="MONOCHROME1"), ["MONOCHROME1; expected MONOCHROME2"]),
    "no frames": (dict(NumberOfFrames=0), ["NumberOfFrames is 0; expected 1"]),
    "color": (dict(SamplesPerPixel=3), ["SamplesPerPixel is 3; expected 1"]),
    "no pixels": (dict(PixelData=None), ["no pixel data"]),
    "no position": (dict(ImagePositionPatient=None), ["ImagePositionPatient is missing", "dcm2niix"]),
    "short position": (dict(ImagePositionPatient=["1", "2"]), ["ImagePositionPatient is 1, 2; expected 3 numbers"]),
    "NaN position": (dict(ImagePositionPatient=["nan", "0", "0"]), ["ImagePositionPatient is nan, 0, 0"]),
    "infinite position": (dict(ImagePositionPatient=["0", "inf", "0"]), ["ImagePositionPatient is 0, inf, 0"]),
    "no spacing": (dict(PixelSpacing=None), ["PixelSpacing is missing"]),
    "zero spacing": (dict(PixelSpacing=["0", "1"]), ["PixelSpacing is 0, 1; expected 2 numbers"]),
    "negative spacing": (dict(PixelSpacing=["1", "-1"]), ["PixelSpacing is 1, -1"]),
    "no orientation": (dict(ImageOrientationPatient=None), ["ImageOrientationPatient is missing"]),
    "zero orientation": (dict(ImageOrientationPatient=["0"] * 6), ["two unit vectors at right angles"]),
    "skew orientation": (dict(ImageOrientationPatient=list("100110")), ["1, 0, 0, 1, 1, 0; expected two unit"]),
    "zero slope": (dict(RescaleSlope="0"), ["RescaleSlope is 0"]),
    "NaN slope": (dict(RescaleSlope="nan"), ["RescaleSlope is nan"]),
    "32 bits": (dict(BitsAllocated=32), ["BitsAllocated is 32"]),
    "12 bits": (dict(BitsAllocated=12, BitsStored=12, HighBit=11), ["12 bits allocated, 12 stored, high bit 11"]),
    "left-justified": (dict(BitsStored=12), ["16 bits allocated, 12 stored, high bit 15"]),
    "no rows": (dict(Rows=None), ["Rows is missing"]),
    "zero columns": (dict(Columns=0), ["Columns is 0"]),
    "too large for its bytes": (dict(Rows=60000, Columns=60000), ["84 bytes of pixel data; expected 7200000000"]),
    "too small for its bytes": (dict(Rows=3), ["84 bytes of pixel data; expected 42 for 7 x 3 of 16 bits"]),
}


@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
@pytest.mark.parametrize("case", SPOILED_IMAGES)
@pytest.mark.parametrize("index", [0, 4])
def test_an_unfit_image_is_refused_by_its_name(folder, array, case, index):
    tags, words = SPOILED_IMAGES[case]
    with pydicom.config.disable_value_validation():
        paths = write_series(folder, array, AFFINE, change=only(index, **tags))
    message = refusal(folder, paths[index])
    assert all(word in message for word in words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (only(3, PixelSpacing=["1.5", "0.9"]), "PixelSpacing is 1.5, 0.9, but 1.2, 0.9 in IM0001.dcm"),
        (only(3, ImageOrientationPatient=list("100010")), "(a localizer?)"),
    ],
    ids=["spacing", "orientation"],
)
def test_images_unlike_the_first_are_refused(folder, array, change, words):
    paths = write_series(folder, array, AFFINE, change=change)
    message = refusal(folder, paths[3])
    assert words in message
    assert "another folder" in message


def test_images_of_another_size_are_refused(folder, array):
    write_series(folder, array, AFFINE)
    paths = write_series(folder, array[:, :4], AFFINE, name="X{}.dcm".format)
    assert "Rows is 4, but 6 in IM0001.dcm of the same series" in refusal(folder, paths[0])


@pytest.mark.parametrize(("index", "between"), [(1, "33.00 to 40.00"), (3, "40.00 to 47.00")])
def test_a_missing_slice_is_refused_with_the_positions_around_it(folder, array, index, between):
    write_series(folder, array, placed(ORIENTATIONS["axial"]))[index].unlink()
    message = refusal(folder)
    assert f"not evenly spaced: 7.00 mm from {between} mm" in message
    assert "3.50 mm elsewhere" in message
    assert "missing" in message


def test_slices_off_their_line_are_refused(folder, array):
    def shifted(dataset, index):
        dataset.ImagePositionPatient[0] += index % 2

    write_series(folder, array, placed(ORIENTATIONS["axial"]), change=shifted)
    assert "slices lie up to 1.00 mm off the line" in refusal(folder)


def test_copies_of_a_slice_are_refused_by_name(folder, array):
    paths = write_series(folder, array, placed(ORIENTATIONS["axial"]))
    (folder / "copy.dcm").write_bytes(paths[2].read_bytes())
    message = refusal(folder)
    assert message.startswith("6 images at 5 places; several at 40.00 mm")
    assert "Remove the copies, such as one of IM0003.dcm and copy.dcm" in message


def test_echoes_in_one_series_are_refused_as_such(folder, array):
    write_series(folder, array, placed(ORIENTATIONS["axial"]))
    write_series(folder, array, placed(ORIENTATIONS["axial"]), name="E{}".format, change=every(EchoTime="80"))
    message = refusal(folder)
    assert message.startswith("10 images at 5 places; several at 33.00, 36.50, 40.00, 43.50, 47.00 mm")
    assert "EchoTime differ: echoes, phases or repetitions" in message
    assert "data.volume_index" in message


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, DeflatedExplicitVRLittleEndian, "1.2.3.4"])
def test_pixels_that_cannot_be_decoded_are_refused_with_the_way_out(folder, array, syntax):
    def rename(dataset, index):
        dataset.file_meta.TransferSyntaxUID = syntax

    if syntax == DeflatedExplicitVRLittleEndian:
        paths = write_series(folder, array, AFFINE, change=rename)
    else:
        paths = write_series(folder, array, AFFINE)
        new = syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
        old = b"UI\x14\x00" + ExplicitVRLittleEndian.encode() + b"\0"
        for path in paths:
            path.write_bytes(path.read_bytes().replace(old, b"UI" + len(new).to_bytes(2, "little") + new, 1))
    message = refusal(folder, paths[0])
    assert pydicom.uid.UID(syntax).name in message
    assert "gdcmconv --raw" in message
    assert "dcm2niix" in message


def test_a_volume_beyond_the_limit_is_refused_before_it_is_allocated(folder, array, monkeypatch):
    write_series(folder, array, AFFINE)
    monkeypatch.setattr("mri_cyclegan.data.formats.dicom.MAX_VOXELS", array.size - 1)
    assert f"{array.size} voxels; expected {array.size - 1} at most" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"text", bytes(200), bytes(128) + b"DICM"])
@pytest.mark.parametrize("name", ["a.dcm", "b.IMA"])
def test_a_file_named_dcm_that_is_none_is_refused(folder, array, name, content):
    write_series(folder, array, AFFINE)
    (folder / name).write_bytes(content)
    assert "truncated" in refusal(folder, folder / name)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 131])
def test_an_image_without_suffix_cut_before_its_mark_is_not_overlooked(folder, array, length):
    paths = write_series(folder, array, AFFINE, name="{}".format)
    paths[-1].write_bytes(paths[-1].read_bytes()[:length])
    assert "no DICM mark" in refusal(folder, paths[-1])


@pytest.mark.parametrize("name", ["IM0006.dcm", "IM0006"])
def test_a_link_to_nowhere_is_refused(folder, array, name):
    write_series(folder, array, AFFINE)
    (folder / name).symlink_to(folder / "nowhere")
    assert "cannot be read (No such file or directory)" in refusal(folder, folder / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_refused(folder, array):
    paths = write_series(folder, array, AFFINE, name="{}".format)
    paths[2].chmod(0)
    assert "cannot be read (Permission denied)" in refusal(folder, paths[2])


@pytest.mark.parametrize("module", ["pydicom", "pydicom.pixels"])
def test_without_pydicom_3_the_refusal_says_how_to_install_it(folder, array, monkeypatch, module):
    paths = write_series(folder, array, AFFINE)
    for name in [name for name in sys.modules if name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delattr(pydicom, "pixels")
    assert "pip install 'mri-cyclegan[dicom]'" in refusal(folder, paths[0])


# Broken bytes


def edge_slice(folder, **arguments):
    """A small series, and the file of its last slice, which nothing else would show to be missing."""
    array = np.random.default_rng(0).integers(0, 4000, (4, 3, 2)).astype(np.int16)
    paths = write_series(folder, array, placed(ORIENTATIONS["axial"]), name="{}".format, **arguments)
    return array, paths[-1]


@pytest.mark.parametrize(("syntax", "step"), [(ExplicitVRLittleEndian, 5), (ImplicitVRLittleEndian, 7)])
def test_a_file_truncated_at_any_byte_is_refused(folder, syntax, step):
    _, path = edge_slice(folder, syntax=syntax)
    content = path.read_bytes()
    for length in range(0, len(content), step):
        path.write_bytes(content[:length])
        with pytest.raises(UnfitFile, match="Copy or export it again") as caught:
            series_shape(folder, OPTIONS)
        assert caught.value.finding.path == path


def test_a_truncated_file_is_not_overlooked_when_another_series_is_chosen(folder):
    _, path = edge_slice(folder)
    write_series(folder, np.ones((4, 3, 1), np.int16), AFFINE, uid=OTHER_UID, name="B{}".format)
    content = path.read_bytes()
    # A UID cut short would be one more series, which is not chosen.
    end_of_uid = content.rindex(SERIES_UID.encode()) + len(SERIES_UID)
    for length in [*range(0, len(content), 29), *range(end_of_uid - 40, end_of_uid + 10)]:
        path.write_bytes(content[:length])
        with pytest.raises(UnfitFile) as caught:
            series_shape(folder, ReadOptions(series_uids=(SERIES_UID,)))
        assert caught.value.finding.path == path


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_compressed_file_truncated_at_any_byte_is_refused_or_whole(folder, syntax):
    array, path = edge_slice(folder, change=compress(syntax))
    content = path.read_bytes()
    for length in range(content.index(b"\xe0\x7f\x10\x00"), len(content)):
        path.write_bytes(content[:length])
        try:
            volume = read_series(folder, OPTIONS)
        except UnfitFile as error:
            assert error.finding.path == path
        else:
            assert length >= len(content) - 4  # the length field of the end mark, which says 0
            np.testing.assert_array_equal(volume.array, array)


def test_what_follows_the_pixels_does_not_matter(folder):
    array, path = edge_slice(folder)
    path.write_bytes(path.read_bytes() + b"\xfc\xff\xfc\xffOB\0\0\xf0\xff\xff\xffpadding")
    np.testing.assert_array_equal(read_series(folder, OPTIONS).array, array)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_flipped_bits_give_a_refusal_or_a_volume(folder, syntax):
    array, path = edge_slice(folder, syntax=syntax)
    content = path.read_bytes()
    pixels_at = len(content) - array[:, :, 0].size * 2
    random = np.random.default_rng(0)
    places = [*random.integers(0, pixels_at, 120), *random.integers(pixels_at, len(content), 20)]
    for place in places:
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << random.integers(8)
        path.write_bytes(spoiled)
        volume = None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                volume = read_series(folder, OPTIONS)
            except UnfitFile as error:
                assert not any(text in str(error) for text in PATIENT)
        if place >= pixels_at:
            differs = volume.array != array
            assert np.argwhere(differs).tolist() == [[(place - pixels_at) // 2 % 4, (place - pixels_at) // 8, 1]]
        elif volume is not None:
            assert isinstance(volume, Volume)
            assert np.isfinite(volume.affine).all()
            assert abs(np.linalg.det(volume.affine)) > 1e-9


def test_many_broken_bytes_give_a_refusal_or_a_volume(folder):
    _, path = edge_slice(folder)
    content = path.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(100):
        spoiled = bytearray(content)
        start, length = random.integers(132, len(content)), random.integers(1, 40)
        spoiled[start : start + length] = random.bytes(length)
        path.write_bytes(spoiled)
        with contextlib.suppress(UnfitFile):
            assert isinstance(read_series(folder, OPTIONS), Volume)


@pytest.mark.parametrize(
    "element",
    [
        b"\x08\x00\x08\x01OB\0\0" + b"\xf0\xff\xff\xff",
        b"\x08\x00\x08\x00UN\0\0" + b"\xf0\xff\xff\xff",
        b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff"
        + b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x09\x00\x11\x10OB\0\0\xf0\xff\xff\xff",
        (b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 2000,
    ],
    ids=["unwanted tag", "wanted tag", "in a sequence", "deep sequences"],
)
def test_memory_is_not_allocated_on_a_claim(folder, element):
    _, path = edge_slice(folder)
    content = path.read_bytes()
    at = content.index(b"\x08\x00\x08\x00CS")
    path.write_bytes(content[:at] + element + content[at:])
    assert peak_bytes(lambda: refusal(folder, path)) < 2**24


def test_a_header_that_claims_a_huge_image_is_not_believed(folder, array):
    paths = write_series(folder, array, AFFINE, change=every(Rows=16000, Columns=16000))
    assert peak_bytes(lambda: refusal(folder, paths[0])) < 2**24


def peak_bytes(function) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_value_that_runs_on_into_its_neighbors_is_not_shown(folder):
    # Two series, one of whose UIDs is too long by the neighboring patient's name.
    _, path = edge_slice(folder)
    content = path.read_bytes()
    name = PATIENT[0].encode()
    uid = b"UI" + len(SERIES_UID).to_bytes(2, "little") + SERIES_UID.encode()
    at = content.rindex(SERIES_UID.encode()) - 4
    assert len(uid) % 2 == 0
    run_on = uid[:2] + (len(uid) + 8 + len(name)).to_bytes(2, "little") + uid[4:]
    path.write_bytes(content[:at] + run_on + b"\x20\0\x10\0PN\x10\0" + name + content[at + len(uid) :])
    assert "SeriesInstanceUID is missing or broken" in refusal(folder, path)


def test_pydicom_keeps_silent_and_its_logger_stays_as_it_was(folder, array, caplog, recwarn):
    paths = write_series(folder, array, placed(ORIENTATIONS["axial"]))
    for path in paths:
        explicit, implicit = b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x12\x001.2.840.10008.1.2\0"
        path.write_bytes(path.read_bytes().replace(explicit, implicit, 1))
    level = logging.getLogger("pydicom").level
    volume = read_series(folder, OPTIONS)
    np.testing.assert_array_equal(volume.array, array)
    assert caplog.records == []
    assert list(recwarn) == []
    assert logging.getLogger("pydicom").level == level
    with pytest.warns(UserWarning, match="found explicit VR"):
        pydicom.dcmread(paths[0])
    assert caplog.records
