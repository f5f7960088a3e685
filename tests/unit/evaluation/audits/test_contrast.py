import numpy as np
import pytest

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.contrast import assess_contrast, measure_contrast

NAMES = {1: "gm", 2: "wm", 3: "csf"}
TARGET = {"gm": 0.5, "wm": 0.3, "csf": 0.9}


def tissue_images(subject_images, output, target=TARGET, seed=0, **changes):
    """Three tissues and some background, every tissue with noise of mean 0."""
    labels = np.repeat(np.arange(4), 64).reshape(4, 8, 8)
    noise = np.random.default_rng(seed).normal(0, 0.02, (4, 8, 8))
    noise -= noise.mean(axis=(1, 2), keepdims=True)

    def picture(means):
        return np.array([0.0, *(means[name] for name in NAMES.values())])[labels] + noise

    return subject_images(picture(output), picture(target), tissues=labels, tissue_names=NAMES, **changes)


def assessed(*images):
    return assess_contrast([measure_contrast(one) for one in images], "ab")


def test_means_of_tissues_are_measured(subject_images):
    output = {"gm": 0.45, "wm": 0.25, "csf": 0.8}
    measured = measure_contrast(tissue_images(subject_images, output))
    assert measured["kind"] == "tissues"
    assert list(measured["classes"]) == ["gm", "wm", "csf"]
    for name, means in measured["classes"].items():
        assert means == pytest.approx({"target": TARGET[name], "output": output[name]}, abs=1e-5)


def test_means_of_quantile_bins_are_measured_without_labels(subject_images):
    """Of 1000 evenly spread intensities, bin k holds those around (k + 1/2) / 10."""
    target = np.random.default_rng(0).permutation((np.arange(1000) + 0.5) / 1000).reshape(10, 10, 10)
    measured = measure_contrast(subject_images(target**2, target))
    assert measured["kind"] == "quantiles"
    assert list(measured["classes"])[::9] == ["0–10 %", "90–100 %"]
    middles = (np.arange(10) + 0.5) / 10
    assert [means["target"] for means in measured["classes"].values()] == pytest.approx(middles, abs=1e-5)
    # The mean of x² over an interval of width 1/10 is the squared middle and a twelfth of the squared width.
    expected = middles**2 + 0.01 / 12
    assert [means["output"] for means in measured["classes"].values()] == pytest.approx(expected, abs=1e-5)


def test_the_right_contrast_is_green(subject_images):
    audit = assessed(tissue_images(subject_images, {"gm": 0.52, "wm": 0.33, "csf": 0.85}))
    assert audit.values == pytest.approx({"rank_correlation": 1, "drift": (0.02 + 0.03 + 0.05) / 3}, abs=1e-5)
    assert audit.level is Level.GREEN


def test_inverted_contrast_is_red(subject_images):
    audit = assessed(tissue_images(subject_images, {"gm": 0.5, "wm": 0.55, "csf": 0.45}))
    assert audit.values["rank_correlation"] == -1
    assert audit.level is Level.RED


def test_inverted_contrast_is_red_without_labels(subject_images):
    target = np.random.default_rng(0).uniform(0.45, 0.55, (6, 16, 16))
    audit = assessed(subject_images(1 - target, target))
    assert audit.values["drift"] < 0.07
    assert audit.values["rank_correlation"] == pytest.approx(-1)
    assert audit.level is Level.RED


def test_two_tissues_that_swap_places_are_amber(subject_images):
    audit = assessed(tissue_images(subject_images, {"gm": 0.38, "wm": 0.4, "csf": 0.88}))
    assert audit.values["rank_correlation"] == pytest.approx(0.5)
    assert audit.level is Level.AMBER


def test_a_constant_picture_is_red(subject_images):
    target = np.random.default_rng(0).uniform(0.3, 0.4, (6, 16, 16))
    audit = assessed(subject_images(np.full_like(target, 1 / 3), target))
    assert audit.values["drift"] < 0.07
    assert audit.values["rank_correlation"] == 0
    assert audit.level is Level.RED


@pytest.mark.parametrize(("offset", "level"), [(0.06, "green"), (0.08, "amber"), (-0.08, "amber"), (0.16, "red")])
def test_drift_has_its_own_thresholds(subject_images, offset, level):
    audit = assessed(tissue_images(subject_images, {name: mean + offset for name, mean in TARGET.items()}))
    assert audit.values == pytest.approx({"rank_correlation": 1, "drift": abs(offset)}, abs=1e-5)
    assert audit.level.value == level


def test_a_global_intensity_error_of_15_percent_is_seen(subject_images):
    audit = assessed(tissue_images(subject_images, {name: 1.15 * mean for name, mean in TARGET.items()}))
    assert audit.level is Level.AMBER


def test_subjects_of_different_brightness_are_ranked_each_by_itself(subject_images):
    """Pooled, the six pairs of means would correlate by 0.6."""
    bright = {"gm": 0.6, "wm": 0.55, "csf": 0.62}
    images = [
        tissue_images(subject_images, {name: mean - 0.05 for name, mean in TARGET.items()}),
        tissue_images(subject_images, {name: mean + 0.05 for name, mean in bright.items()}, target=bright),
    ]
    assert assessed(*images).values["rank_correlation"] == pytest.approx(1)


def test_the_subject_with_the_lowest_correlation_is_named(subject_images):
    right = tissue_images(subject_images, TARGET, subject="sub-01")
    wrong = tissue_images(subject_images, {"gm": 0.5, "wm": 0.55, "csf": 0.45}, subject="sub-02")
    audit = assessed(right, wrong)
    assert audit.values["rank_correlation"] == 0
    assert "sub-02, -1.00" in audit.figure


def test_many_equal_intensities_leave_bins_empty(subject_images):
    target = np.zeros((4, 10, 10))
    target[2:] = np.random.default_rng(0).uniform(0.2, 1, (2, 10, 10))
    measured = measure_contrast(subject_images(target, target))
    assert 5 <= len(measured["classes"]) < 10
    assert assess_contrast([measured], "ab").level is Level.GREEN


def test_labels_without_a_name_keep_their_number(subject_images):
    labels = np.repeat([0, 1, 7, 0], 64).reshape(4, 8, 8)
    target = labels / 10
    measured = measure_contrast(subject_images(target, target, tissues=labels, tissue_names={1: "gm"}))
    assert list(measured["classes"]) == ["gm", "7"]


def test_it_needs_pairs(subject_images):
    measured = measure_contrast(subject_images(np.zeros((2, 8, 8))))
    assert measured == {}
    audit = assess_contrast([measured], "ab")
    assert audit.level is Level.UNKNOWN
    assert "pairs" in audit.meaning


def test_a_single_class_has_no_order(subject_images):
    target = np.full((2, 8, 8), 0.5)
    assert assessed(subject_images(target, target)).level is Level.UNKNOWN
