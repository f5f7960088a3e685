"""Volumes of another program: what is measured, and what is refused."""

import json
from collections.abc import Iterable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel import orientations

from mri_cyclegan.evaluation.prediction_evaluation import PredictionOptions, evaluate_predictions

SHAPE = (16, 18, 14)
AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])


def head(seed, shape=SHAPE):
    """A bright ellipsoid with a slope and noise, in (0, 1)."""
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    inside = sum((axis / 0.75) ** 2 for axis in axes) < 1
    return np.where(inside, 0.6 + 0.2 * axes[0] + random.normal(0, 0.05, shape), 0.02).clip(0, 1).astype(np.float32)


def save(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def moved(affine, *offset_mm):
    return nibabel.affines.from_matvec(np.eye(3), offset_mm) @ affine


def numbers(content):
    """All floats in a JSON value."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, Iterable) and not isinstance(content, str):
        return [number for one in content for number in numbers(one)]
    return [content] if isinstance(content, float) else []


@pytest.fixture
def folders(tmp_path):
    """Predictions, targets and sources of two subjects."""
    for number in range(2):
        target = head(number)
        save(tmp_path / "target" / f"sub-{number}_T2w.nii.gz", target * 900)
        save(tmp_path / "source" / f"sub-{number}_T1w.nii.gz", np.where(target > 0.1, 1.2 - target, target))
        save(tmp_path / "prediction" / f"sub-{number}_T2w.nii.gz", target)
    return tmp_path


def evaluate(folders, source=True, **options):
    paths = (folders / "prediction", folders / "target", folders / "source" if source else None)
    return evaluate_predictions(*paths, folders / "out", PredictionOptions(**options)).content


def refused(folders, **options):
    with pytest.raises(ValueError) as refusal:
        evaluate(folders, **options)
    return str(refusal.value)


def metrics_of(content, number, method):
    return content["subjects"][number]["ways"]["ab"]["metrics"][method]


def test_another_subjects_new_target_changes_the_references_of_all(folders):
    """The same numbers as without anything from before."""
    before = evaluate(folders)
    path = folders / "target" / "sub-1_T2w.nii.gz"
    save(path, np.sqrt(head(1)) * 900)
    resumed = evaluate(folders)
    for record in (folders / "out" / "subjects").glob("sub-*"):
        record.unlink()
    afresh = evaluate(folders)
    for method in ("mean intensity", "histogram matching", "oracle look-up table"):
        assert metrics_of(resumed, 0, method) == metrics_of(afresh, 0, method)
        assert metrics_of(resumed, 0, method) != metrics_of(before, 0, method)


def test_a_prediction_that_is_cropped_within_the_head_is_refused(folders):
    path = save(folders / "prediction" / "sub-1_T2w.nii.gz", head(1)[:12])
    message = refused(folders, pairs="space")
    assert str(path) in message
    assert "ml that" in message


def test_a_prediction_in_another_place_is_refused(folders):
    path = save(folders / "prediction" / "sub-1_T2w.nii.gz", head(1), moved(AFFINE, 5000, 0, 0))
    message = refused(folders, pairs="space")
    assert str(path) in message
    assert "only 0 of" in message


def test_whole_is_where_the_target_reaches(folders):
    """A prediction with a margin of another brightness, which no target can judge."""
    target = head(1)
    whole = np.full((SHAPE[0] + 4, *SHAPE[1:]), 0.9, np.float32)
    whole[2:-2] = target
    expected = metrics_of(evaluate(folders, source=False), 1, "prediction")["whole"]["mae"]
    save(folders / "prediction" / "sub-1_T2w.nii.gz", whole, moved(AFFINE, -20, 0, 0))
    content = evaluate(folders, source=False, pairs="space")
    assert metrics_of(content, 1, "prediction")["whole"]["mae"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("axcodes", ["LAS", "PSR"])
def test_another_order_of_storage_changes_no_figure(axcodes, folders):
    """Target and source stored along other axes, 0.002 mm aside, are still on the grid of the prediction."""
    expected = evaluate(folders)
    for folder in ("target", "source"):
        path = next((folders / folder).glob("sub-1_*"))
        image = nibabel.load(path)
        change = orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientations.axcodes2ornt(axcodes))
        other = image.as_reoriented(change)
        save(path, other.get_fdata(dtype=np.float32), moved(other.affine, 0.002, 0, 0))
    assert nibabel.aff2axcodes(nibabel.load(path).affine) == tuple(axcodes)
    found = evaluate(folders)
    assert not found["resampled_targets"]
    for method in ("prediction", "copy"):
        assert metrics_of(found, 1, method) == metrics_of(expected, 1, method)


def test_registering_targets_to_the_predictions_they_judge_is_refused(folders):
    assert "would flatter it" in refused(folders, pairs="register")


def test_a_single_slice_of_a_head_is_refused(folders):
    path = save(folders / "prediction" / "sub-1_T2w.nii.gz", head(1)[:, :, 7:8], moved(AFFINE, 0, 0, 70))
    message = refused(folders, pairs="space")
    assert str(path) in message
    assert "at least 90 % must" in message


def test_a_single_slice_of_a_single_slice_has_finite_numbers(folders):
    for folder in ("prediction", "target", "source"):
        for path in (folders / folder).iterdir():
            save(path, nibabel.load(path).get_fdata(dtype=np.float32)[:, :, 7:8])
    found = numbers(evaluate(folders))
    assert found
    assert np.isfinite(found).all()


def test_a_source_in_another_place_is_refused(folders):
    """Its histogram would have no voxel, and what is divided by their number is no number."""
    path = save(folders / "source" / "sub-1_T1w.nii.gz", head(1), moved(AFFINE, 5000, 0, 0))
    message = refused(folders, pairs="space")
    assert str(path) in message
    assert "not registered" in message


@pytest.mark.parametrize("pairs", ["grid", "space"])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda array: np.full_like(array, 0.5), "all voxels have the same value"),
        (lambda array: np.where(array > 0.6, np.nan, array), "are NaN or infinite"),
        (lambda array: np.stack([array, array], axis=-1), "4-D image"),
    ],
)
def test_a_prediction_that_is_no_image_is_refused(change, problem, pairs, folders):
    path = save(folders / "prediction" / "sub-1_T2w.nii.gz", change(head(1)))
    message = refused(folders, pairs=pairs)
    assert str(path) in message
    assert problem in message


def test_a_target_that_shows_nothing_is_refused_and_not_left_out(folders):
    path = save(folders / "target" / "sub-1_T2w.nii.gz", np.ones(SHAPE, np.float32))
    message = refused(folders)
    assert f"{path}: all voxels have the same value. Remove it" in message


def test_other_grids_are_seen_in_the_headers(folders):
    """The voxels of the first prediction are missing; every grid is compared before anyone needs them."""
    first, second = sorted((folders / "prediction").iterdir())
    image = nibabel.load(first).get_fdata(dtype=np.float32)
    save(first, image[1:])
    save(second, np.where(image > 0.6, np.nan, image))
    message = refused(folders)
    assert "15 × 18 × 14" in message
    assert "NaN" not in message


@pytest.mark.parametrize(("low", "high"), [(float("nan"), 1), (0, float("inf")), (-1e308, 1e308), (1, 1), (0, 1e-60)])
def test_a_range_without_numbers_is_refused(low, high):
    with pytest.raises(ValueError, match="--prediction-range: expected two finite numbers"):
        PredictionOptions(low, high)


@pytest.mark.parametrize("here", ["prediction", "target", "source"])
def test_the_folder_one_stands_in_has_a_name(here, folders, monkeypatch):
    monkeypatch.chdir(folders / here)
    paths = [Path() if name == here else folders / name for name in ("prediction", "target", "source")]
    content = evaluate_predictions(*paths, folders / "out", PredictionOptions()).content
    assert content["title"] == "prediction"
    assert content["directions"]["ab"] == ["source", "target"]


def test_results_are_plain_json_with_subject_and_session(folders):
    for folder, contrast in (("prediction", "T2w"), ("target", "T2w"), ("source", "T1w")):
        for number in range(2):
            path = folders / folder / f"sub-{number}_{contrast}.nii.gz"
            path.rename(path.with_name(f"sub-7_ses-{number}_{contrast}.nii.gz"))
    content = evaluate(folders)
    assert [(one["subject"], one["session"]) for one in content["subjects"]] == [("sub-7", "ses-0"), ("sub-7", "ses-1")]
    json.dumps(content, allow_nan=False)
