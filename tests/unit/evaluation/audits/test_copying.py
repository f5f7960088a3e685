import numpy as np
import pytest

from mri_cyclegan.data.histograms import histogram
from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.copying import assess_copying, measure_copying


def constant(level, shape=(2, 8, 8)):
    """A picture in the middle of one of the 256 bins, so that distances of histograms are exact."""
    return np.full(shape, (level + 0.5) / 256, np.float32)


def heads(seed, num_subjects=3):
    """Mostly bright sources, and what they look like in a contrast that is mostly dark."""
    random = np.random.default_rng(seed)
    sources = [random.beta(4, 1.5, (3, 16, 16)).astype(np.float32) for _ in range(num_subjects)]
    return sources, [1 - source for source in sources]


def assessed(images, domain, direction="ab"):
    return assess_copying(
        [measure_copying(one) for one in images],
        [histogram(one.output[one.foreground]) for one in images],
        np.mean([histogram(volume) for volume in domain], axis=0),
        direction,
    )


def test_an_identity_generator_is_red(subject_images):
    sources, _ = heads(0)
    audit = assessed([subject_images(source, source=source) for source in sources], domain=heads(1)[1])
    assert audit.level is Level.RED
    assert audit.values["to_source"] == 0
    assert audit.direction == "ab"


def test_a_slightly_changed_copy_is_red_too(subject_images):
    sources, _ = heads(0)
    noise = np.random.default_rng(2).normal(0, 0.05, sources[0].shape)
    images = [subject_images(np.clip(0.9 * source + 0.05 + noise, 0, 1), source=source) for source in sources]
    assert assessed(images, domain=heads(1)[1]).level is Level.RED


def test_a_translation_is_green(subject_images):
    sources, translations = heads(0)
    images = [subject_images(output, source=source) for output, source in zip(translations, sources)]
    assert assessed(images, domain=heads(1)[1]).level is Level.GREEN


@pytest.mark.parametrize(
    ("to_domain", "level"),
    [(64, Level.RED), (48, Level.RED), (47, Level.AMBER), (25, Level.AMBER), (24, Level.GREEN), (0, Level.GREEN)],
)
def test_the_two_distances_decide(subject_images, to_domain, level):
    """The output is 48/256 brighter than its source, and the target domain is brighter still."""
    images = [subject_images(constant(80), source=constant(32))]
    audit = assessed(images, domain=[constant(80 + to_domain)])
    assert audit.values == pytest.approx({"to_source": 48 / 256, "to_domain": to_domain / 256}, abs=1e-6)
    assert audit.level is level


def test_a_copy_is_one_also_where_both_domains_look_alike(subject_images):
    assert assessed([subject_images(constant(80), source=constant(80))], domain=[constant(80)]).level is Level.RED


def test_only_the_foreground_counts(subject_images):
    output, foreground = constant(80), np.zeros((2, 8, 8), bool)
    foreground[:, :4] = True
    output[:, 4:] = 1
    measured = measure_copying(subject_images(output, source=constant(32), foreground=foreground))
    assert measured["to_source"] == pytest.approx(48 / 256, abs=1e-6)


def test_subjects_are_averaged_and_the_worst_is_named(subject_images):
    images = [
        subject_images(constant(80), source=constant(source), subject=name)
        for name, source in (("sub-01", 16), ("sub-02", 76), ("sub-03", 32))
    ]
    audit = assessed(images, domain=[constant(90)])
    assert audit.values["to_source"] == pytest.approx((64 + 4 + 48) / 3 / 256, abs=1e-6)
    assert "sub-02" in audit.figure


def test_subjects_without_a_measurement_are_left_out(subject_images):
    good = subject_images(constant(80), source=constant(32))
    measured = [{}, measure_copying(good), {}]
    audit = assess_copying(measured, [None, histogram(good.output), None], histogram(constant(80)), "ba")
    assert audit.level is Level.GREEN


@pytest.mark.parametrize("changes", [{"source": None}, {"foreground": np.zeros((2, 8, 8), bool)}])
def test_nothing_is_measured_without_source_or_foreground(subject_images, changes):
    measured = measure_copying(subject_images(constant(80), **changes))
    assert measured == {}
    audit = assess_copying([measured], [None], histogram(constant(80)), "ab")
    assert audit.level is Level.UNKNOWN
    assert "sources" in audit.meaning


def test_it_is_unknown_without_real_images_of_the_target_contrast(subject_images):
    image = subject_images(constant(80))
    audit = assess_copying([measure_copying(image)], [histogram(image.output)], None, "ab")
    assert audit.level is Level.UNKNOWN
    assert "target contrast" in audit.meaning
