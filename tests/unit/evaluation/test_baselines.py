import numpy as np
import pytest
from skimage.exposure import match_histograms

from mri_cyclegan.data.histograms import histogram
from mri_cyclegan.evaluation.baselines import (
    BIN_CENTERS,
    FittedBaselines,
    LookUpTableFit,
    match_histogram,
    mean_of,
)
from mri_cyclegan.evaluation.subjects.images import SubjectImages


def images(source):
    foreground = np.ones(source.shape, bool)
    return SubjectImages("sub-01", source, source, None, foreground, foreground, (1.0, 1.0, 1.0))


def test_matching_equals_scikit_image():
    random = np.random.default_rng(0)
    source, target = random.beta(2, 5, (20, 40, 40)), random.beta(5, 3, (20, 40, 40))
    foreground = np.ones(source.shape, bool)
    matched = match_histogram(source, foreground, histogram(target))
    expected = match_histograms(source, target)
    assert np.abs(matched - expected).mean() < 1e-3
    np.testing.assert_allclose(matched, expected, atol=0.03)  # the few darkest voxels share a bin
    assert np.corrcoef(np.argsort(np.argsort(matched.ravel())), np.argsort(np.argsort(source.ravel())))[0, 1] > 0.999


def test_matching_looks_at_the_foreground_and_keeps_the_background_dark():
    random = np.random.default_rng(0)
    source = np.zeros((1, 50, 50))
    source[0, 10:40, 10:40] = random.uniform(0.5, 1, (30, 30))
    target = random.uniform(0, 0.5, 5000)
    matched = match_histogram(source, source > 0, histogram(target))
    assert matched[0, 10:40, 10:40].mean() == pytest.approx(0.25, abs=0.01)
    assert matched[0, :10].max() == 0


def test_the_table_is_the_mean_target_at_each_source_intensity():
    random = np.random.default_rng(0)
    source = random.random((30, 40, 40))
    target = 1 - source**2 + random.normal(0, 0.05, source.shape)
    mask = random.random(source.shape) < 0.7
    fit = LookUpTableFit()
    for half in (slice(0, 12), slice(12, 30)):  # pair by pair
        fit.add(source[half], target[half], mask[half])
    assert fit.table() == pytest.approx(1 - BIN_CENTERS**2, abs=0.03)
    bins = (source[mask] * 256).astype(int)
    assert fit.table()[100] == pytest.approx(target[mask][bins == 100].mean())


def test_no_voxel_wise_mapping_has_a_smaller_error_than_the_table():
    random = np.random.default_rng(1)
    source = (random.integers(0, 5, (8, 20, 20)) + 0.5) / 5
    target = np.array([0.9, 0.1, 0.5, 0.3, 0.7])[(source * 5).astype(int)] + random.normal(0, 0.1, source.shape)
    fit = LookUpTableFit()
    fit.add(source, target, np.ones(source.shape, bool))
    table = FittedBaselines(np.full(256, 1 / 256), None, fit.table()).predict(images(source))["oracle look-up table"]
    error = np.mean((table - target) ** 2)
    for seed in range(20):
        change = np.random.default_rng(seed).normal(0, 0.02, 5)[(source * 5).astype(int)]
        assert np.mean((table + change - target) ** 2) >= error - 1e-9


def test_intensities_that_no_source_has_take_what_lies_between():
    fit = LookUpTableFit()
    fit.add(BIN_CENTERS[[0, 255]], np.array([0.2, 0.8]), np.ones(2, bool))
    assert fit.table() == pytest.approx(np.linspace(0.2, 0.8, 256))


def test_which_methods_there_are():
    source = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    flat = np.full(256, 1 / 256)
    alone = FittedBaselines(flat, None, None).predict(images(source))
    assert list(alone) == ["copy", "mean intensity", "histogram matching"]
    assert alone["copy"] is source
    assert np.unique(alone["mean intensity"]) == pytest.approx([0.5])
    mean_image = np.ones_like(source)
    everything = FittedBaselines(flat, mean_image, BIN_CENTERS).predict(images(source))
    assert list(everything) == ["copy", "mean image", "histogram matching", "oracle look-up table"]
    assert everything["mean image"] is mean_image
    assert everything["oracle look-up table"] == pytest.approx(source.clip(BIN_CENTERS[0], BIN_CENTERS[-1]), abs=1e-6)


def test_without_a_source_only_the_mean_is_left():
    with_source = images(np.zeros((1, 4, 4), np.float32))
    without = SubjectImages("x", None, with_source.output, None, with_source.foreground, None, (1.0, 1.0, 1.0))
    assert list(FittedBaselines(np.full(256, 1 / 256), None, None).predict(without)) == ["mean intensity"]


def test_the_mean_of_images_one_at_a_time():
    arrays = [np.random.default_rng(seed).random((2, 3, 4)).astype(np.float32) for seed in range(5)]
    np.testing.assert_allclose(mean_of(iter(arrays)), np.mean(arrays, axis=0), atol=1e-6)
