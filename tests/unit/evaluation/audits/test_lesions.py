import numpy as np
import pytest
from scipy import ndimage

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.lesions import assess_lesions, measure_lesions

SHAPE = (24, 48, 48)
CENTERS_MM = [(12, 12, 12), (12, 12, 36), (12, 36, 12), (12, 36, 36)]
NOISE = 0.02


@pytest.fixture
def tissue():
    """Noise of zero mean around an intensity of 0.4."""
    return 0.4 + np.random.default_rng(0).normal(0, NOISE, SHAPE)


@pytest.fixture
def masks(ball):
    """Four lesions of 4 mm radius."""
    return [ball(SHAPE, center, 4) for center in CENTERS_MM]


def painted(tissue, masks, contrasts):
    return tissue + sum(contrast * mask for contrast, mask in zip(contrasts, masks))


def assessed(*images):
    return assess_lesions([measure_lesions(one) for one in images], "ab")


def test_contrast_is_measured_against_the_ring_and_its_noise(subject_images, tissue, masks):
    target, output = painted(tissue, masks, [0.3] * 4), painted(tissue, masks, [0.3, 0.24, 0.12, -0.3])
    measured = measure_lesions(subject_images(output, target, lesions=sum(masks) > 0))
    assert measured["subject"] == "sub-01"
    lesions = measured["lesions"]
    assert [one["ml"] for one in lesions] == [pytest.approx(mask.sum() / 1000) for mask in masks]
    assert [one["truth"] for one in lesions] == [pytest.approx(0.3 / NOISE, rel=0.1)] * 4
    kept = [one["output"] / one["truth"] for one in lesions]
    assert kept == pytest.approx([1, 0.8, 0.4, -1], abs=0.03)


def test_the_truth_itself_is_green(subject_images, tissue, masks):
    target = painted(tissue, masks, [0.3] * 4)
    audit = assessed(subject_images(target, target, lesions=sum(masks) > 0))
    assert audit.values == {"lost_share": 0, "exaggerated_share": 0, "num_lesions": 4, "median_kept": 1}
    assert audit.level is Level.GREEN


@pytest.mark.parametrize(
    ("contrasts", "num_lost", "level"),
    [
        ([0.3, 0.3, 0.3, 0.16], 0, "green"),
        ([0.3, 0.3, 0.3, 0.14], 1, "amber"),
        ([0.3, 0.3, 0.0, -0.3], 2, "amber"),  # reversed is lost, too
        ([0.3, 0.0, 0.0, 0.0], 3, "red"),
    ],
)
def test_lesions_below_half_of_their_contrast_are_lost(subject_images, tissue, masks, contrasts, num_lost, level):
    target, output = painted(tissue, masks, [0.3] * 4), painted(tissue, masks, contrasts)
    audit = assessed(subject_images(output, target, lesions=sum(masks) > 0))
    assert audit.values["lost_share"] == num_lost / 4
    assert audit.level.value == level


def test_a_generator_that_removes_lesions_is_red(subject_images, tissue, masks):
    """What is healthy is reproduced perfectly."""
    audit = assessed(subject_images(tissue, painted(tissue, masks, [0.3] * 4), lesions=sum(masks) > 0))
    assert audit.values["median_kept"] == pytest.approx(0, abs=0.03)
    assert audit.level is Level.RED


def test_dark_lesions_are_lesions(subject_images, tissue, masks):
    target = painted(tissue, masks, [-0.2] * 4)
    assert assessed(subject_images(target, target, lesions=sum(masks) > 0)).level is Level.GREEN
    assert assessed(subject_images(tissue, target, lesions=sum(masks) > 0)).level is Level.RED


def test_a_blurred_and_noisy_output_is_not_red(subject_images, tissue, masks):
    target = painted(tissue, masks, [0.3] * 4)
    output = ndimage.gaussian_filter(target, 1) + np.random.default_rng(1).normal(0, 0.1, SHAPE)
    assert -10 * np.log10(((output - target) ** 2).mean()) < 20.5
    assert assessed(subject_images(output, target, lesions=sum(masks) > 0)).level is not Level.RED


def test_a_smooth_output_is_not_flattered(subject_images, masks, tissue):
    """Both ratios have the noise of the truth below the line."""
    output = painted(np.full(SHAPE, 0.4), masks, [0.1] * 4)
    images = subject_images(output, painted(tissue, masks, [0.3] * 4), lesions=sum(masks) > 0)
    assert [one["output"] for one in measure_lesions(images)["lesions"]] == [pytest.approx(0.1 / NOISE, rel=0.1)] * 4
    audit = assessed(images)
    assert audit.values["median_kept"] == pytest.approx(1 / 3, abs=0.03)
    assert audit.level is Level.RED


def test_voxels_that_touch_at_a_corner_are_one_lesion(subject_images, tissue):
    mask = np.zeros(SHAPE, bool)
    mask[10, 10, 10] = mask[11, 11, 11] = True
    (lesion,) = measure_lesions(subject_images(tissue, tissue, lesions=mask))["lesions"]
    assert lesion["ml"] == pytest.approx(0.002)


def test_lesions_that_the_truth_does_not_show_do_not_count(subject_images, tissue, masks):
    target = painted(tissue, masks, [0.3, 0.005, 0.005, 0.005])
    audit = assessed(subject_images(tissue, target, lesions=sum(masks) > 0))
    assert audit.values["num_lesions"] == 1
    assert assessed(subject_images(tissue, tissue, lesions=masks[0])).level is Level.UNKNOWN


def test_a_neighboring_lesion_is_not_taken_for_tissue(subject_images, ball, tissue):
    masks = [ball(SHAPE, (12, 24, 20), 3), ball(SHAPE, (12, 24, 28), 3)]
    target = painted(tissue, masks, [0.1, 0.6])
    lesions = measure_lesions(subject_images(target, target, lesions=sum(masks) > 0))["lesions"]
    assert lesions[0]["truth"] == pytest.approx(0.1 / NOISE, rel=0.15)


def test_the_ring_stays_in_the_foreground(subject_images, tissue, masks):
    foreground = np.ones(SHAPE, bool)
    foreground[:, :12] = False
    target = np.where(foreground | masks[0], painted(tissue, masks[:1], [0.3]), 0)
    lesions = measure_lesions(subject_images(target, target, lesions=masks[0], foreground=foreground))["lesions"]
    assert lesions[0]["truth"] == pytest.approx(0.3 / NOISE, rel=0.15)


@pytest.mark.parametrize(
    ("shape", "spacing_mm"), [((1, 48, 48), (5.0, 1.0, 1.0)), ((1, 64, 64), (4.0, 4.0, 4.0)), ((6, 40, 40), (5, 1, 1))]
)
def test_single_slices_and_thick_slices_are_measured_in_their_plane(subject_images, ball, shape, spacing_mm):
    tissue = 0.4 + np.random.default_rng(0).normal(0, NOISE, shape)
    center = [n // 2 * mm for n, mm in zip(shape, spacing_mm)]
    mask = ball(shape, center, 5, spacing_mm)
    target = tissue + 0.3 * mask
    images = subject_images(tissue + 0.2 * mask, target, lesions=mask, spacing_mm=spacing_mm)
    (lesion,) = measure_lesions(images)["lesions"]
    assert lesion["output"] / lesion["truth"] == pytest.approx(2 / 3, abs=0.05)
    assert lesion["ml"] == pytest.approx(mask.sum() * np.prod(spacing_mm) / 1000)


def test_a_truth_without_noise_is_no_division_by_zero(subject_images, masks):
    target = painted(np.full(SHAPE, 0.4), masks, [0.3] * 4)
    audit = assessed(subject_images(target, target, lesions=sum(masks) > 0))
    assert audit.values["median_kept"] == pytest.approx(1)


def test_subjects_are_pooled_and_the_worst_is_named(subject_images, tissue, masks):
    target, lesions = painted(tissue, masks, [0.3] * 4), sum(masks) > 0
    outputs = {"sub-01": [0.3, 0.3, 0.3, 0.3], "sub-02": [0.3, 0.0, 0.0, 0.3], "sub-03": [0.3, 0.3, 0.0, 0.3]}
    audit = assessed(
        *[
            subject_images(painted(tissue, masks, contrasts), target, lesions=lesions, subject=name)
            for name, contrasts in outputs.items()
        ]
    )
    assert audit.values["lost_share"] == pytest.approx(3 / 12)
    assert "sub-02, 2 of 4" in audit.figure


@pytest.mark.parametrize(
    ("contrasts", "num_exaggerated", "level"),
    [
        ([0.3, 0.3, 0.3, 0.57], 0, "green"),
        ([0.3, 0.3, 0.3, 0.78], 1, "amber"),  # 260 %
        ([0.3, 0.78, 0.78, 0.0], 2, "red"),  # with the lost one most are wrong
        ([0.78] * 4, 4, "red"),
        ([0.55] * 4, 0, "amber"),  # none is exaggerated by itself, but all are brighter
    ],
)
def test_lesions_above_twice_their_contrast_are_exaggerated(
    subject_images, tissue, masks, contrasts, num_exaggerated, level
):
    target, output = painted(tissue, masks, [0.3] * 4), painted(tissue, masks, contrasts)
    audit = assessed(subject_images(output, target, lesions=sum(masks) > 0))
    assert audit.values["exaggerated_share"] == num_exaggerated / 4
    assert f"{num_exaggerated} exaggerated" in audit.figure
    assert audit.level.value == level


def test_what_is_missing_is_named(subject_images, tissue, masks):
    """A mask, lesions in it, or a truth at all."""
    target = painted(tissue, masks, [0.3] * 4)
    without_mask = subject_images(tissue, target)
    empty_mask = subject_images(tissue, target, lesions=np.zeros(SHAPE, bool))
    unpaired = subject_images(tissue, lesions=masks[0])
    figures = [assessed(*some).figure for some in ([without_mask], [without_mask, empty_mask], [unpaired])]
    assert figures == ["no mask given", "no visible lesions", "no pairs"]
    assert assessed(without_mask).level is assessed(empty_mask).level is assessed(unpaired).level is Level.UNKNOWN
    with_mask = subject_images(target, target, lesions=sum(masks) > 0)
    assert assessed(without_mask, with_mask).figure.endswith("median contrast kept 100%; pairs without a mask: 1")
