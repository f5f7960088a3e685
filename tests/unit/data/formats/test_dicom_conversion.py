"""Series that only dcm2niix knows how to read."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from bad_inputs.dicom_series import ENHANCED_MR, PATIENT, SERIES_UID, write_enhanced, write_series
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats import dicom_conversion, dicom_frames
from mri_cyclegan.data.formats.dicom import read_series, series_shape
from mri_cyclegan.data.volume import ReadOptions

OPTIONS = ReadOptions()
AFFINE = np.eye(4)
AFFINE[:3, :3] = Rotation.from_euler("xyz", [17, -8, 5], degrees=True).as_matrix() * (-0.9, -1.2, 3.5)
AFFINE[:3, 3] = 80.5, -91.25, 33


@pytest.fixture
def array():
    """Stored values, (column, row, slice)."""
    return np.random.default_rng(0).integers(0, 4000, (7, 6, 5)).astype(np.int16)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "series #1 é"


def refusal(folder, options=OPTIONS, path=None) -> str:
    messages = []
    for function in (read_series, series_shape):
        with pytest.raises(UnfitFile) as caught:
            function(folder, options)
        assert caught.value.finding.path == (path or folder)
        assert caught.value.finding.remedy
        messages.append(str(caught.value))
    assert len(set(messages)) == 1
    assert not any(word in messages[0] for text in PATIENT for word in text.split("^"))
    return messages[0]


def assert_is(folder, options, array, affine=AFFINE, atol=1e-4):
    volume = read_series(folder, options)
    found, expected = (
        nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(voxels, np.float32), grid))
        for voxels, grid in ((volume.array, volume.affine), (array, affine))
    )
    np.testing.assert_array_equal(found.get_fdata(), expected.get_fdata())
    np.testing.assert_allclose(found.affine, expected.affine, atol=atol)
    shape, grid = series_shape(folder, options)
    assert shape == volume.array.shape
    np.testing.assert_array_equal(grid, volume.affine)
    assert volume.warnings == ()


def write_echoes(folder, array, *echo_times_ms, number=lambda echo, index: index + 1):
    """Single-frame images, several echoes in one series; the k-th is brighter by k."""
    paths = []
    for echo, time in enumerate(echo_times_ms):

        def change(dataset, index, echo=echo, time=time):
            dataset.EchoTime, dataset.EchoNumbers = str(time), echo + 1
            dataset.InstanceNumber = number(echo, index)

        paths += write_series(folder, array + echo, AFFINE, name=f"E{echo}_{{}}".format, change=change)
    return paths


@pytest.mark.parametrize("axes", [np.eye(3), [[0, 0, 1], [1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1], [0, -1, 0]]])
@pytest.mark.parametrize("decimals", [1, 6])
def test_an_enhanced_image_is_read_however_it_lies(folder, array, axes, decimals):
    def three_d(dataset):
        dataset.MRAcquisitionType = "3D"  # whose axes dcm2niix turns
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            place = frame.PlanePositionSequence[0]
            place.ImagePositionPatient = [round(float(value), decimals) for value in place.ImagePositionPatient]

    affine = AFFINE.copy()
    affine[:3, :3] = np.array(axes) @ AFFINE[:3, :3]
    write_enhanced(folder / "image.dcm", array, affine, change=three_d)
    assert_is(folder, OPTIONS, array, affine, atol=1e-4 if decimals == 6 else 0.2)


def test_enhanced_images_of_several_files_are_one_volume_and_another_series_stays_out(folder, array):
    write_enhanced(folder / "image.dcm", array, AFFINE)
    write_series(folder, array, AFFINE, uid=f"{SERIES_UID}.9")
    assert "2 series in one folder" in refusal(folder)
    assert_is(folder, ReadOptions(series_uids=(SERIES_UID,)), array)


@pytest.mark.parametrize("kind", ["enhanced", "single frames", "single frames, counted through"])
def test_one_of_several_echoes_is_chosen_by_its_place_in_time(folder, array, kind):
    if kind == "enhanced":
        write_enhanced(folder / "image.dcm", array, AFFINE, echo_times_ms=(12, 80))
    else:
        through = kind.endswith("through")
        number = (lambda echo, index: 2 * index + echo + 1) if through else (lambda echo, index: index + 1)
        write_echoes(folder, array, 12, 80, number=number)
    message = refusal(folder)
    assert "dcm2niix finds 0: EchoTime 12 ms, e1; 1: EchoTime 80 ms, e2" in message
    assert "Set data.volume_index to choose one" in message
    assert_is(folder, ReadOptions(volume_index=0), array)
    assert_is(folder, ReadOptions(volume_index=1), array + 1)
    assert "data.volume_index=2, but: " in refusal(folder, ReadOptions(volume_index=2))


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_a_missing_image_of_an_echo_is_refused(folder, array, missing):
    write_echoes(folder, array, 12, 80)[missing].unlink()
    message = refusal(folder, ReadOptions(volume_index=0))
    assert "1 to 2 images at each of 5 places. Images may be missing" in message


@pytest.mark.parametrize(
    ("echo_times_ms", "words"), [((12,), "evenly spaced: 7.00 mm"), ((12, 80), "1 to 2 images at")]
)
def test_a_missing_frame_is_refused(folder, array, echo_times_ms, words):
    def drop(dataset):
        del dataset.PerFrameFunctionalGroupsSequence[2]
        dataset.NumberOfFrames -= 1
        dataset.PixelData = dataset.PixelData[:-84]

    write_enhanced(folder / "image.dcm", array, AFFINE, echo_times_ms=echo_times_ms, change=drop)
    assert words in refusal(folder)


@pytest.mark.parametrize("spoil", ["no places", "fewer places", "no groups", "NaN"])
def test_an_enhanced_image_without_the_places_of_its_frames_is_refused(folder, array, spoil):
    def change(dataset):
        frames = dataset.PerFrameFunctionalGroupsSequence
        if spoil == "no places":
            del frames[1].PlanePositionSequence
        elif spoil == "fewer places":
            del frames[1]
        elif spoil == "no groups":
            del dataset.SharedFunctionalGroupsSequence
        else:
            frames[1].PlanePositionSequence[0].ImagePositionPatient = ["nan", "0", "0"]

    with pydicom.config.disable_value_validation():
        path = write_enhanced(folder / "image.dcm", array, AFFINE, change=change)
    words = {"fewer places": "5 frames, but the places of 4", "NaN": "ImagePositionPatient is nan, 0, 0; expected"}
    assert words.get(spoil, "broken DICOM file (KeyError)") in refusal(folder, path=path)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
@pytest.mark.parametrize(
    "tags", [dict(NumberOfFrames=None), dict(NumberOfFrames=0), dict(Rows=None), dict(Modality="CT")]
)
def test_an_enhanced_header_that_is_broken_is_refused(folder, array, tags):
    def change(dataset):
        for keyword, value in tags.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)

    path = write_enhanced(folder / "image.dcm", array, AFFINE, change=change)
    assert next(iter(tags)) in (message := refusal(folder, path=path)) or "420 bytes of pixel data" in message


def test_flipped_bits_of_an_enhanced_image_give_a_refusal_or_a_volume(folder, array):
    path = write_enhanced(folder / "image.dcm", array, AFFINE)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(132, len(content) - 420, 25):
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << random.integers(8)
        path.write_bytes(spoiled)
        try:
            volume = read_series(folder, OPTIONS)
        except UnfitFile as error:
            assert not any(text in str(error) for text in PATIENT)
        else:
            assert np.isfinite(volume.affine).all()


def test_a_series_too_large_to_convert_is_refused(folder, array, monkeypatch):
    write_enhanced(folder / "image.dcm", array, AFFINE)
    monkeypatch.setattr(dicom_frames, "MAX_SERIES_VOXELS", 209)
    assert "210 voxels; at most 209 are converted" in refusal(folder)


def test_frames_in_several_directions_are_refused(folder, array):
    def turn(dataset):
        group = Dataset()
        group.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        dataset.PerFrameFunctionalGroupsSequence[3].PlaneOrientationSequence = [group]

    write_enhanced(folder / "image.dcm", array, AFFINE, change=turn)
    assert "ImageOrientationPatient differs between its images" in refusal(folder)


def test_a_truncated_or_overstated_enhanced_image_is_refused_before_it_is_converted(folder, array):
    path = write_enhanced(folder / "image.dcm", array, AFFINE)
    path.write_bytes(path.read_bytes()[:-10])
    assert "410 bytes of pixel data; expected 420 for 5 frames of 7 x 6 of 16 bits" in refusal(folder, path=path)

    def claim(dataset):
        dataset.NumberOfFrames = 50_000

    write_enhanced(path, array, AFFINE, change=claim)
    assert "420 bytes of pixel data; expected 4200000 for 50000 frames" in refusal(folder, path=path)


def test_other_multi_frame_images_are_refused(folder, array):
    def spectroscopy(dataset):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_MR[:-1] + "2"

    path = write_enhanced(folder / "image.dcm", array, AFFINE, change=spectroscopy)
    assert "a multi-frame image (frames: 5); expected one slice a file" in refusal(folder, path=path)


def test_what_comes_out_is_checked_as_any_nifti(folder, array, monkeypatch):
    def run(command, **settings):
        folder = command[command.index("-o") + 1]
        image = nibabel.Nifti1Image(array, None)
        image.header["qform_code"] = image.header["sform_code"] = 0
        nibabel.save(image, f"{folder}/image.nii")
        return subprocess.CompletedProcess(command, 0, "", "")

    write_enhanced(folder / "image.dcm", array, AFFINE)
    monkeypatch.setattr(subprocess, "run", run)
    assert "converted by dcm2niix: neither sform nor qform is set" in refusal(folder)


@pytest.mark.parametrize("change", ["place", "fewer slices", "thinner slices", "one echo of two"])
def test_what_comes_out_must_lie_where_the_headers_say(folder, array, monkeypatch, change):
    num_slices = {"fewer slices": 4, "thinner slices": 9}.get(change, 5)

    def run(command, **settings):
        affine = AFFINE @ np.diag([1, 1, 0.5 if change == "thinner slices" else 1, 1])
        affine[0, 3] += change == "place"
        image = nibabel.Nifti1Image(np.resize(array, (7, 6, num_slices)), affine)
        nibabel.save(image, Path(command[command.index("-o") + 1], "image.nii"))
        return subprocess.CompletedProcess(command, 0, "", "")

    write_enhanced(folder / "image.dcm", array, AFFINE, echo_times_ms=(12, 80)[: 1 + (change == "one echo of two")])
    monkeypatch.setattr(subprocess, "run", run)
    apart = {"fewer slices": "3.50", "thinner slices": "0.00"}.get(change, "1.00")
    words = f"dcm2niix made 7 × 6 × {num_slices} voxels, {apart} mm from where the headers put 7 × 6 × 5"
    assert ("dcm2niix made 5 slices of 10 images" if "echo" in change else words) in refusal(folder)


def test_a_program_that_fails_or_never_ends_is_said(folder, array, monkeypatch, tmp_path):
    write_enhanced(folder / "image.dcm", array, AFFINE)
    for script, words in (("exit 3", "made no image of it (status 3)"), ("exec sleep 5", "did not end within 0.2 s")):
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr("dcm2niix.bin", str(program))
        monkeypatch.setattr(dicom_conversion, "TIMEOUT_S", 0.2)
        assert words in refusal(folder)


def test_without_the_program_the_refusal_says_how_to_install_it(folder, array, monkeypatch):
    monkeypatch.setitem(sys.modules, "dcm2niix", None)
    monkeypatch.setenv("PATH", "")
    write_echoes(folder, array, 12, 80)
    message = refusal(folder)
    assert "EchoTime, EchoNumbers differ: echoes" in message
    assert "dcm2niix, which is missing. Install it with: pip install 'mri-cyclegan[dicom]'" in message


def test_nothing_is_left_behind(folder, array, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    write_enhanced(folder / "image.dcm", array, AFFINE)
    read_series(folder, OPTIONS)
    assert [path.name for path in folder.iterdir()] == ["image.dcm"]
    assert list((tmp_path / "scratch").iterdir()) == []
