import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import block_reduce

from mri_cyclegan.evaluation.metrics import subject_matching as matching_module
from mri_cyclegan.evaluation.metrics.subject_matching import downsample, subject_matching

ISOTROPIC = (1.0, 1.0, 1.0)


def person(seed, shape=(20, 24, 22)):
    """An ellipsoid with its own smooth texture, in [0, 1], in empty surroundings."""
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    inside = sum((axis / 0.8) ** 2 for axis in axes) < 1
    texture = ndimage.gaussian_filter(random.normal(0, 1, shape), 1.5)
    return np.where(inside, 0.6 + 0.15 * texture / texture.std(), 0).clip(0, 1).astype(np.float32)


def translated(source):
    """Another contrast of the same anatomy."""
    return np.where(source > 0, 1 - 0.8 * source, 0)


def small(volumes):
    return [downsample(volume, ISOTROPIC) for volume in volumes]


def names(volumes):
    return [f"sub-{number}" for number in range(len(volumes))]


def test_another_visit_of_a_subject_is_no_rival():
    sources = [person(0), person(0), person(1)]
    outputs = small(translated(source) for source in sources)
    assert subject_matching(outputs, small(sources), names(sources))["accuracy"] == pytest.approx(1 / 3)
    result = subject_matching(outputs, small(sources), ["sub-0", "sub-0", "sub-1"])
    assert result == {"accuracy": 1.0, "chance": pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3), "num_subjects": 2}


def test_among_many_subjects_some_are_rivals(monkeypatch):
    monkeypatch.setattr(matching_module, "MAX_OTHER_SUBJECTS", 2)
    sources = [person(seed) for seed in range(6)]
    result = subject_matching(small(translated(source) for source in sources), small(sources), names(sources))
    assert result == {"accuracy": 1.0, "chance": pytest.approx(1 / 3), "num_subjects": 6}


def test_outputs_of_the_same_anatomy_find_their_sources():
    sources = [person(seed) for seed in range(4)]
    result = subject_matching(small(translated(source) for source in sources), small(sources), names(sources))
    assert result == {"accuracy": 1.0, "chance": 0.25, "num_subjects": 4}


def test_outputs_of_somebody_else_do_not():
    sources = [person(seed) for seed in range(4)]
    outputs = [translated(source) for source in sources]
    swapped = [outputs[1], outputs[0], *outputs[2:]]
    assert subject_matching(small(swapped), small(sources), names(sources))["accuracy"] == 0.5


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_constant_output_is_not_recognised(value):
    sources = [person(seed) for seed in range(3)]
    outputs = [np.full_like(source, value) for source in sources]
    assert subject_matching(small(outputs), small(sources), names(sources))["accuracy"] == 0


def test_a_source_on_another_grid_is_centered():
    """The own source wins because of what it shows, though another grid has to be padded or cropped first."""
    sources = [person(seed) for seed in range(3)]
    outputs = [translated(source) for source in sources]
    other_grids = [
        np.pad(sources[0], ((2, 2), (0, 0), (3, 2))),
        sources[1][1:-1, :, 2:-2],
        np.pad(sources[2], ((1, 1), (1, 2), (0, 0)))[:, 2:-2],
    ]
    assert subject_matching(small(outputs), small(other_grids), names(outputs))["accuracy"] == 1


def test_a_single_subject_can_only_be_matched():
    assert subject_matching(small([translated(person(0))]), small([person(0)]), ["sub-1"]) == {
        "accuracy": 1.0,
        "chance": 1.0,
        "num_subjects": 1,
    }


def test_blocks_of_about_four_mm_are_averaged():
    array = np.random.default_rng(0).random((82, 62, 70)).astype(np.float32)
    small_array = downsample(array, (1.0, 2.1, 1.4))
    means = block_reduce(array[:80, :, :69], (4, 2, 3), np.mean)
    assert small_array.dtype == np.uint8
    assert small_array.shape == (20, 31, 23)
    np.testing.assert_allclose(small_array, 255 * means, atol=0.5001)


def test_thick_slices_and_single_slices_are_kept():
    array = np.random.default_rng(1).random((1, 600, 600)).astype(np.float32)
    assert downsample(array, (1.0, 1.0, 1.0)).shape == (1, 150, 150)
    assert downsample(array.reshape(10, 200, 180), (9.0, 1.0, 1.0)).shape == (10, 50, 45)


@pytest.mark.parametrize("shape, expected", [((64, 64, 64), (16, 16, 16)), ((64, 64, 63), (64, 64, 63))])
def test_a_small_volume_keeps_its_grid(shape, expected):
    array = np.full(shape, 0.4, np.float32)
    small_array = downsample(array, ISOTROPIC)
    assert small_array.shape == expected
    assert (small_array == 102).all()


def test_intensities_beyond_the_scale_are_clipped():
    assert downsample(np.array([[[-0.2, 0.0, 1.0, 1.3]]]), ISOTROPIC).tolist() == [[[0, 0, 255, 255]]]
