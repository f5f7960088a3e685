import numpy as np
import pytest

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.slice_consistency import (
    assess_slice_consistency,
    mean_slice_difference,
    measure_slice_consistency,
)


def ramp(step, num_slices=6):
    """Every voxel grows by ``step`` from slice to slice."""
    return np.broadcast_to(step * np.arange(num_slices, dtype=np.float32)[:, None, None], (num_slices, 8, 8)).copy()


def anatomy(num_slices=24, size=24):
    """Smooth structure that changes slowly from slice to slice."""
    axes = np.meshgrid(*[np.linspace(0, 3, n) for n in (num_slices, size, size)], indexing="ij")
    return 0.5 + 0.2 * np.sin(axes[0] + 2 * axes[1]) * np.cos(3 * axes[2])


@pytest.mark.parametrize(
    ("ratio", "level"),
    [(0.5, "red"), (0.7, "amber"), (0.85, "green"), (1.0, "green"), (1.2, "green"), (1.4, "amber"), (1.6, "red")],
)
def test_the_ratio_of_slice_differences_decides(subject_images, ratio, level):
    audit = assess_slice_consistency([measure_slice_consistency(subject_images(ramp(0.1 * ratio), ramp(0.1)))], "ab")
    assert audit.values["ratio"] == pytest.approx(ratio, rel=1e-4)
    assert audit.level.value == level


def test_slices_that_flicker_are_red(subject_images):
    """Each slice gets a brightness of its own, as from a generator that sees one at a time."""
    target = anatomy()
    brightness = 1 + 0.1 * np.random.default_rng(0).standard_normal((len(target), 1, 1))
    audit = assess_slice_consistency([measure_slice_consistency(subject_images(target * brightness, target))], "ab")
    assert audit.level is Level.RED
    assert "flickers" in audit.meaning


def test_the_same_picture_in_every_slice_is_red(subject_images):
    target = anatomy()
    audit = assess_slice_consistency(
        [measure_slice_consistency(subject_images(np.zeros_like(target) + target[:1], target))], "ab"
    )
    assert audit.values["ratio"] == 0
    assert audit.level is Level.RED
    assert "flickers" not in audit.meaning


def test_an_output_with_small_errors_is_green(subject_images):
    target = anatomy()
    audit = assess_slice_consistency([measure_slice_consistency(subject_images(1.05 * target + 0.01, target))], "ab")
    assert audit.level is Level.GREEN


def test_only_voxels_that_are_foreground_in_both_slices_count():
    volume, foreground = ramp(0.1, num_slices=3), np.zeros((3, 8, 8), bool)
    foreground[0, :4] = foreground[1, 2:] = True
    volume[0, 4:], volume[1, :2] = 5, 9
    assert mean_slice_difference(volume, foreground) == pytest.approx(0.1)


@pytest.mark.parametrize("num_slices", [1, 2])
def test_slices_without_a_neighbor_are_not_measured(subject_images, num_slices):
    foreground = np.zeros((num_slices, 8, 8), bool)
    foreground[0] = True
    measured = measure_slice_consistency(subject_images(ramp(0.1, num_slices), foreground=foreground))
    assert measured == {}
    audit = assess_slice_consistency([measured], "ab", [0.1])
    assert audit.level is Level.UNKNOWN
    assert "two slices" in audit.meaning


def test_without_pairs_outputs_are_compared_with_real_volumes(subject_images):
    measured = [measure_slice_consistency(subject_images(ramp(0.13)))]
    assert measured[0]["target"] is None
    audit = assess_slice_consistency(measured, "ab", [0.08, 0.12])
    assert audit.values["ratio"] == pytest.approx(1.3, rel=1e-4)
    assert audit.level is Level.AMBER
    assert assess_slice_consistency(measured, "ab").level is Level.UNKNOWN


def test_with_some_pairs_only_these_are_judged(subject_images):
    measured = [measure_slice_consistency(subject_images(ramp(0.1), ramp(0.1)))]
    measured.append(measure_slice_consistency(subject_images(ramp(0.5))))
    assert assess_slice_consistency(measured, "ab", [0.01]).values["ratio"] == pytest.approx(1)


def test_the_subject_farthest_from_real_slices_is_named(subject_images):
    measured = [
        measure_slice_consistency(subject_images(ramp(step), ramp(0.1), subject=name))
        for name, step in (("sub-01", 0.12), ("sub-02", 0.05), ("sub-03", 0.15))
    ]
    audit = assess_slice_consistency(measured, "ab")
    assert audit.values["ratio"] == pytest.approx((0.12 + 0.05 + 0.15) / 3 / 0.1, rel=1e-4)
    assert "sub-02, 0.50" in audit.figure


def test_real_slices_that_are_all_the_same_judge_nothing(subject_images):
    measured = [measure_slice_consistency(subject_images(ramp(0.1), ramp(0.0)))]
    assert assess_slice_consistency(measured, "ab").level is Level.UNKNOWN
