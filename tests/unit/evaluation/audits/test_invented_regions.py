import numpy as np
import pytest
from scipy import ndimage

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.invented_regions import assess_invented_regions, measure_invented_regions

# A box of about the volume of a head.
SPACING_MM = (4.0, 4.0, 4.0)
SHAPE = (28, 28, 28)
CENTER_MM = (56.0, 56.0, 56.0)


def brain(seed=0, shape=(32, 40, 40)):
    """Two tissues and fluid in folds a few voxels wide, with noise."""
    random = np.random.default_rng(seed)
    folds = ndimage.gaussian_filter(random.standard_normal(shape), 2.0)
    low, high = np.quantile(folds, [0.45, 0.85])
    clean = np.select([folds < low, folds < high], [0.35, 0.55], 0.95)
    return (ndimage.gaussian_filter(clean, 0.5) + random.normal(0, 0.02, shape)).clip(0, 1)


def assessed(*images):
    return assess_invented_regions([measure_invented_regions(one) for one in images], "ab")


@pytest.fixture
def blob(ball):
    """A ball of 6 mm radius in the middle of the box."""
    return ball(SHAPE, CENTER_MM, 6, SPACING_MM)


def test_one_bright_blob_in_every_head_is_red(subject_images, blob):
    images = []
    for name in ("sub-01", "sub-02", "sub-03"):
        target = 0.4 + np.random.default_rng(0).normal(0, 0.03, SHAPE)
        images.append(subject_images(np.where(blob, 1.0, target), target, subject=name, spacing_mm=SPACING_MM))
    audit = assessed(*images)
    assert audit.values["num_regions"] == 3
    assert audit.values["per_100_ml"] == pytest.approx(100 / (28**3 * 0.064))
    assert audit.values["per_100_ml"] < 0.08
    assert audit.level is Level.RED


def test_a_blob_in_one_head_of_three_is_amber_and_the_head_is_named(subject_images, blob):
    target = np.full(SHAPE, 0.4)
    outputs = {"sub-01": target, "sub-02": np.where(blob, 1.0, target), "sub-03": target}
    audit = assessed(*[subject_images(o, target, subject=name, spacing_mm=SPACING_MM) for name, o in outputs.items()])
    assert audit.values["affected_share"] == pytest.approx(1 / 3)
    assert "sub-02" in audit.figure
    assert audit.level is Level.AMBER


@pytest.mark.parametrize("distortion", ["none", "noise", "blur", "blur and noise", "shift", "darker", "gain"])
def test_an_honest_output_of_mediocre_quality_invents_nothing(subject_images, distortion):
    target = brain()
    noise = np.random.default_rng(1).normal(0, 0.1, target.shape)
    output = {
        "none": target,
        "noise": target + noise,
        "blur": ndimage.gaussian_filter(target, 1.5),
        "blur and noise": ndimage.gaussian_filter(target, (0, 1, 1)) + noise / 2,
        "shift": np.roll(target, 2, axis=1),
        "darker": target - 0.3,
        "gain": 1.2 * target,
    }[distortion].clip(0, 1)
    audit = assessed(subject_images(output, target))
    assert audit.values["num_regions"] == 0
    assert audit.level is Level.GREEN


def test_a_shift_by_one_pixel_invents_nothing_however_large_pixels_are(subject_images):
    target = brain(shape=(4, 40, 40))
    shifted = np.concatenate([target[..., :1], target[..., :-1]], axis=2)
    images = subject_images(shifted, target, spacing_mm=(8.0, 5.0, 5.0))
    assert measure_invented_regions(images)["num_regions"] == 0


@pytest.mark.parametrize("shape", [(1, 60, 60), (8, 60, 60)])
def test_noise_in_large_voxels_is_not_invented(subject_images, shape):
    target = brain(shape=shape)
    output = target + np.random.default_rng(1).normal(0, 0.1, shape)
    assert measure_invented_regions(subject_images(output, target, spacing_mm=(6.0, 6.0, 6.0)))["num_regions"] == 0


def test_a_blob_is_found_among_folds(subject_images, ball):
    target = brain()
    blob = ball(target.shape, (16, 20, 20), 8)
    target[ndimage.binary_dilation(blob, iterations=3)] = 0.5
    measured = measure_invented_regions(subject_images(np.where(blob, 1.0, target), target))
    assert measured["num_regions"] == 1
    assert measured["largest_ml"] == pytest.approx(blob.sum() / 1000, rel=0.3)


@pytest.mark.parametrize(("radius_mm", "num_regions"), [(2.0, 0), (3.0, 0), (4.5, 1), (6.0, 1)])
def test_only_regions_of_the_size_of_a_lesion_count(subject_images, ball, radius_mm, num_regions):
    target = np.full((32, 32, 32), 0.4)
    output = np.where(ball(target.shape, (16, 16, 16), radius_mm), 1.0, target)
    assert measure_invented_regions(subject_images(output, target))["num_regions"] == num_regions


@pytest.mark.parametrize(("intensity", "num_regions"), [(0.6, 0), (0.75, 1)])
def test_only_clearly_brighter_regions_count(subject_images, ball, intensity, num_regions):
    target = np.full((32, 32, 32), 0.4)
    output = np.where(ball(target.shape, (16, 16, 16), 7), intensity, target)
    assert measure_invented_regions(subject_images(output, target))["num_regions"] == num_regions


def test_regions_are_counted_each(subject_images, ball):
    target = np.full((24, 64, 64), 0.4)
    blobs = sum(ball(target.shape, (12, y, x), 6) for y in (16, 48) for x in (16, 48)) > 0
    measured = measure_invented_regions(subject_images(np.where(blobs, 1.0, target), target))
    assert measured["num_regions"] == 4


def test_what_lies_in_a_lesion_or_at_its_border_is_not_invented(subject_images, ball):
    target = np.full((32, 32, 32), 0.4)
    lesion, larger = ball(target.shape, (16, 16, 16), 6), ball(target.shape, (16, 16, 16), 7.5)
    images = subject_images(np.where(larger, 1.0, target), target, lesions=lesion)
    measured = measure_invented_regions(images)
    assert measured["num_regions"] == 0
    assert measured["searched_ml"] == pytest.approx(
        (32**3 - ball(target.shape, (16, 16, 16), 8).sum()) / 1000, rel=0.01
    )
    elsewhere = subject_images(np.where(larger, 1.0, target), target, lesions=np.roll(lesion, 12, axis=2))
    assert measure_invented_regions(elsewhere)["num_regions"] == 1


def test_what_lies_outside_the_foreground_is_not_searched(subject_images, ball):
    target = np.full((32, 32, 48), 0.4)
    foreground = np.zeros(target.shape, bool)
    foreground[..., :24] = True
    output = np.where(ball(target.shape, (16, 16, 36), 6), 1.0, target)
    measured = measure_invented_regions(subject_images(output, target, foreground=foreground))
    assert measured["num_regions"] == 0
    assert measured["searched_ml"] == pytest.approx(32 * 32 * 24 / 1000)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (5.0, 1.0, 1.0), (4.0, 2.0, 2.0)])
def test_a_single_slice_shows_the_section_of_a_blob(subject_images, ball, spacing_mm):
    target = np.full((1, 48, 48), 0.4)
    center = (0, 24 * spacing_mm[1], 24 * spacing_mm[2])
    for radius_mm, num_regions in ((2.0, 0), (4.5, 1)):
        output = np.where(ball(target.shape, center, radius_mm, spacing_mm), 1.0, target)
        measured = measure_invented_regions(subject_images(output, target, spacing_mm=spacing_mm))
        assert measured["num_regions"] == num_regions


def test_nothing_is_measured_without_target_or_foreground(subject_images):
    target = np.full((4, 8, 8), 0.4)
    assert measure_invented_regions(subject_images(target)) == {}
    assert measure_invented_regions(subject_images(target, target, foreground=np.zeros(target.shape, bool))) == {}
    audit = assess_invented_regions([{}, {}], "ab")
    assert audit.level is Level.UNKNOWN
