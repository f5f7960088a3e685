from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from example_model.models import make_model

from mri_cyclegan.inference.model import load_model
from mri_cyclegan.inference.scan_translator import Translation
from mri_cyclegan.inference.synthetic_image import as_int16, sidecar, std_image, synthetic_image


@pytest.fixture
def translation(tmp_path):
    make_model(tmp_path / "model")
    array = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    affine = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.2, -0.15, 0.1) * (0.9, 1.1, 3), (900, -8, 21))
    model = load_model(tmp_path / "model")
    return Translation(
        array=array,
        std=array / 10,
        affine=affine,
        models=[model.description],
        num_outputs=5,
        direction="ab",
        source_low=12.0,
        source_high=812.0,
        warnings=("a doubt",),
        unlike_training=("too dark",),
        output_flicker=0.1,
        source_flicker=0.2,
    )


def test_a_fresh_header_says_synthetic_and_little_else(translation):
    header = synthetic_image(translation).header
    assert header["descrip"] == b"SYNTHETIC T2w from T1w, not for diagnostic use"
    assert not header.extensions
    for field in ("aux_file", "db_name", "intent_name"):
        assert header[field] == b""
    assert header.get_xyzt_units() == ("mm", "sec")
    assert (header["sform_code"], header["qform_code"]) == (2, 2)
    assert header.get_data_dtype() == np.float32


def test_the_affine_survives_the_file(translation, tmp_path):
    nibabel.save(synthetic_image(translation), tmp_path / "a.nii.gz")
    saved = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(saved.affine, translation.affine, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(saved.get_qform(), translation.affine, rtol=1e-5, atol=1e-4)


def test_a_sheared_affine_has_no_qform(translation):
    sheared = translation.affine.copy()
    sheared[0, 1] += 0.3
    image = synthetic_image(SimpleNamespace(**{**vars(translation), "affine": sheared, "contrasts": ("T1w", "T2w")}))
    assert image.header["qform_code"] == 0
    np.testing.assert_allclose(image.get_sform(), sheared)


def test_ranges(translation):
    unit = synthetic_image(translation)
    np.testing.assert_array_equal(unit.get_fdata(), translation.array)
    reference = synthetic_image(translation, "reference").get_fdata()
    expected = 30 + 1000 * translation.array  # of the target contrast's training scans
    np.testing.assert_allclose(reference[translation.array > 0], expected[translation.array > 0], rtol=1e-6)
    assert reference[0, 0, 0] == 0
    np.testing.assert_allclose(std_image(translation, "reference").get_fdata(), 100 * translation.array, rtol=1e-5)
    np.testing.assert_array_equal(std_image(translation).get_fdata(), translation.array / np.float32(10))
    model = translation.models[0]
    scans = model.training.b.model_copy(update={"intensity_low": -5.0})
    training = model.training.model_copy(update={"b": scans})
    described = model.model_copy(update={"training": training})
    negative = synthetic_image(replace(translation, models=[described]), "reference").get_fdata()
    assert negative.min() == negative[0, 0, 0] == -5  # the darkest there is
    with pytest.raises(ValueError, match="expected unit or reference, got 'brightest'"):
        synthetic_image(translation, "brightest")


@pytest.mark.parametrize("value_range", ["unit", "reference"])
def test_integers_with_slope_are_nearly_the_floats(translation, tmp_path, value_range):
    image = synthetic_image(translation, value_range)
    nibabel.save(as_int16(image), tmp_path / "a.nii.gz")
    saved = nibabel.load(tmp_path / "a.nii.gz")
    assert saved.get_data_dtype() == np.int16
    values = image.get_fdata()
    assert np.abs(saved.get_fdata() - values).max() <= values.max() / 65534 * 1.001
    assert saved.get_fdata()[0, 0, 0] == 0
    assert saved.header["descrip"] == image.header["descrip"]
    np.testing.assert_array_equal(saved.affine, nibabel.Nifti1Image(values, image.affine).affine)


def test_integers_of_an_empty_image_and_of_negative_values(tmp_path):
    for array in (np.zeros((2, 2, 2), np.float32), np.array([[[-3.0, 0.0, 5.0]]], np.float32)):
        nibabel.save(as_int16(nibabel.Nifti1Image(array, np.eye(4))), tmp_path / "a.nii")
        np.testing.assert_allclose(nibabel.load(tmp_path / "a.nii").get_fdata(), array, atol=1.3e-4)


def test_long_and_foreign_names_fit_into_the_header(translation):
    long = SimpleNamespace(**{**vars(translation), "contrasts": ("é" * 60, "T2w")})
    text = synthetic_image(long).header["descrip"].item()
    assert text.startswith(b"SYNTHETIC T2w from ???")
    assert len(text) == 79


def test_the_sidecar_says_where_it_comes_from(translation):
    entries = sidecar(translation, "sub-01_T1w.nii.gz", "reference")
    assert entries["Sources"] == ["sub-01_T1w.nii.gz"]
    assert "Not for diagnostic use" in entries["Description"]
    assert entries["GeneratedBy"][0]["Name"] == "mri-cyclegan"
    assert entries["Models"][0]["WeightsSHA256"] == translation.models[0].hashes["ab"]
    assert (entries["Range"], entries["MeanOfOutputs"], entries["Direction"]) == ("reference", 5, "ab")
    assert entries["SliceFlicker"] == {"Output": 0.1, "Source": 0.2}
    assert entries["Intensities"] | {"Normalisation": ""} == {
        "Low": 30.0,
        "High": 1030.0,
        "SourceLow": 12.0,
        "SourceHigh": 812.0,
        "Normalisation": "",
    }
    assert entries["Doubts"] == ["a doubt"]
    assert entries["UnlikeTraining"] == ["too dark"]
    assert str(Path.cwd().anchor) not in str(entries["Sources"] + [entries["Models"]])
