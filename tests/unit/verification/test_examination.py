import base64
import io
import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.verification import examination
from mri_cyclegan.verification.examination import NUM_HEIGHTS, THUMBNAIL_PIXELS, examine, metadata_as_json


@pytest.fixture
def look(tmp_path, save_nifti):
    """Examines an array stored with an affine."""

    def examined(array, affine=None, options=ReadOptions()):
        return examine(Scan("sub-1", "", "T1w", save_nifti(tmp_path / "scan.nii", array, affine)), options)

    return examined


def box(shape=(20, 30, 40), inside=((5, 15), (10, 25), (20, 36))):
    """A bright box, with a brighter corner at left, posterior, inferior, in noise."""
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    array[tuple(slice(*bounds) for bounds in inside)] += 100
    array[tuple(slice(low, low + 4) for low, _ in inside)] += 50
    return array


def test_facts_of_a_box_are_its_own(look):
    one = look(box(), np.diag([2.0, 1.0, 1.5, 1.0]))
    facts = one.facts
    assert one.findings == []
    assert facts.shape == (20, 30, 40)
    assert facts.spacing_mm == (2, 1, 1.5)
    assert facts.orientation == "RAS"
    assert facts.field_of_view_mm == (40, 30, 60)
    # The box reaches from 5 to 15 of 20 voxels of 2 mm: smoothing and the threshold cost at most a voxel a side.
    np.testing.assert_allclose(facts.head_low_mm, [-10, -5, 0], atol=2)
    np.testing.assert_allclose(facts.head_high_mm, [10, 10, 24], atol=2)
    np.testing.assert_allclose(facts.head_mm, [20, 15, 24], atol=4)
    assert facts.head_is_cut == (False, False, False)
    assert facts.percentiles[2] == pytest.approx(100, abs=2)
    assert facts.intensity_range[1] == pytest.approx(150.5, abs=0.6)
    assert 10 * 15 * 16 * 0.7 < sum(facts.histogram) < 12 * 17 * 18


@pytest.mark.parametrize("codes", ["LPS", "PIR", "SAL"])
def test_facts_do_not_depend_on_how_the_array_is_stored(look, codes):
    image = nibabel.Nifti1Image(box(), np.diag([2.0, 1.0, 1.5, 1.0]))
    expected = look(np.asarray(image.dataobj), image.affine)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(turn)
    one = look(np.asarray(turned.dataobj), turned.affine)
    assert one.facts.orientation == codes
    assert one.thumbnail == expected.thumbnail
    stored = ("shape", "spacing_mm", "orientation", "affine")
    assert {key: value for key, value in vars(one.facts).items() if key not in stored} == {
        key: value for key, value in vars(expected.facts).items() if key not in stored
    }


def test_a_head_at_the_border_is_cut(look):
    assert look(box(inside=((5, 15), (10, 25), (20, 40)))).facts.head_is_cut == (False, False, True)
    assert look(box(inside=((0, 15), (10, 25), (20, 36)))).facts.head_is_cut == (True, False, False)


def test_the_profile_runs_over_the_head(look):
    array = box()
    array[:, :, 30:36] *= 0.01  # the upper part of the box vanishes
    array[8:12, 15:20, 30:36] = 100  # but for a column
    profile = look(array).facts.foreground_profile["axial"]
    assert len(profile) == NUM_HEIGHTS
    assert min(profile[1:9]) > 3 * max(profile[15:-1]) > 0


def test_large_scans_are_measured_on_a_coarse_grid_as_on_the_fine_one(look, monkeypatch):
    array = box((40, 60, 80), ((10, 30), (20, 50), (40, 72)))
    fine = look(array).facts
    monkeypatch.setattr(examination, "COARSE_SIDE", 32)
    coarse = look(array).facts
    assert coarse != fine
    np.testing.assert_allclose(coarse.head_low_mm, fine.head_low_mm, atol=3)
    np.testing.assert_allclose(coarse.head_high_mm, fine.head_high_mm, atol=3)
    np.testing.assert_allclose(coarse.percentiles[2:], fine.percentiles[2:], atol=1)
    assert coarse.voxel_hash == fine.voxel_hash


def test_the_thumbnail_shows_three_upright_planes_in_radiological_order(look):
    array = np.zeros((30, 30, 30), np.float32)
    array[4:26, 4:26, 4:26] = 50
    array[18:26, 4:26, 4:26] += 100  # the patient's right
    array[4:26, 18:26, 4:26] += 200  # front
    array[4:26, 4:26, 18:26] += 400  # top
    strip = Image.open(io.BytesIO(base64.b64decode(look(array).thumbnail.partition(",")[2]))).convert("L")
    assert strip.size == (3 * THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    axial, coronal, sagittal = np.split(np.asarray(strip, dtype=float), 3, axis=1)
    half = THUMBNAIL_PIXELS // 2
    for picture in (axial, coronal):
        assert picture[:, :half].mean() > picture[:, half:].mean()  # right on the left
    assert sagittal[:, :half].mean() > sagittal[:, half:].mean()  # front on the left
    for picture in (axial, coronal, sagittal):
        assert picture[:half].mean() > picture[half:].mean()  # front, or top, at the top


@pytest.mark.parametrize(
    ("array", "severity", "words"),
    [
        (np.zeros((8, 8, 8), np.float32), "warning", "same value"),
        (np.full((8, 8, 8), np.nan, np.float32), "error", "512 of 512 voxels are NaN"),
        (np.ones((8, 8, 8, 2), np.float32), "error", "4-D image"),
    ],
)
def test_unfit_scans_are_findings_not_exceptions(look, array, severity, words):
    one = look(array)
    assert one.facts is None
    assert [finding.severity for finding in one.findings] == [severity]
    assert words in one.findings[0].problem


def test_a_scan_too_large_for_the_memory_is_a_finding(look, monkeypatch):
    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr(examination, "find_foreground", too_large)
    (finding,) = look(box()).findings
    assert "does not fit into memory" in finding.problem


def test_doubts_about_a_file_stay_beside_its_facts(look):
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    one = look(box(), sheared)
    assert one.facts is not None
    assert "sheared" in one.findings[0].problem


def test_facts_are_plain_json(look):
    content = json.loads(json.dumps(metadata_as_json(look(box()))))
    assert content["subject"] == "sub-1"
    assert content["facts"]["shape"] == [20, 30, 40]
    assert json.loads(json.dumps(metadata_as_json(look(np.zeros((4, 4, 4), np.float32)))))["facts"] is None
