import json
import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn.functional import avg_pool2d
from torch.nn.functional import interpolate as interpolate_nearest

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.hidden_code import assess_hidden_code, measure_hidden_code

PERTURBATIONS = ("quantised", "blurred", "noisy")


def slices(num_slices=4, size=48):
    """Smooth pictures with some detail, (N, 1, H, W), in [0.1, 0.9]."""
    noise = np.random.default_rng(0).normal(size=(num_slices, 1, size, size))
    picture = ndimage.gaussian_filter(noise, (0, 0, 3, 3)) * 6 + 0.5
    return torch.from_numpy(picture.clip(0.1, 0.9).astype(np.float32))


def on_unit_range(function):
    """A function of pictures in [0, 1] as a generator, of pictures in [-1, 1]."""
    return lambda images: 2 * function((images + 1) / 2) - 1


def blurred(images, sigma):
    return torch.from_numpy(ndimage.gaussian_filter(images.numpy(), (0, 0, sigma, sigma)))


def measured(there, back, foreground=None):
    real = slices()
    foreground = torch.ones(real.shape, dtype=torch.bool) if foreground is None else foreground
    return measure_hidden_code(2 * real - 1, foreground, on_unit_range(there), on_unit_range(back))


def assessed(there, back):
    return assess_hidden_code([measured(there, back)], "ab")


def interpolate(images, x, y):
    return torch.from_numpy(np.interp(images.numpy(), x, y).astype(np.float32))


def hide_in_low_bits(real):
    """Looks like a picture of 8 bits that says nothing of the source; below its lowest bit lies the source."""
    return (real.flip(-1) * 255).round() / 255 + (real - 0.5) * 0.9 / 255


def read_low_bits(fake):
    return (fake * 255 - (fake * 255).round()) / 0.9 + 0.5


def block_means(images):
    return interpolate_nearest(avg_pool2d(images, 4), scale_factor=4)


def hide_detail(real):
    """A coarse negative, with the detail that it lost at a fiftieth of its amplitude: five of 255 levels at most."""
    return 1 - block_means(real) + (real - block_means(real)) / 50


def read_detail(fake):
    """The way back, with the error of an ordinary cycle: 30 dB."""
    error = 0.03 * torch.randn(fake.shape, generator=torch.Generator().manual_seed(1))
    return 1 - block_means(fake) + 50 * (fake - block_means(fake)) + error


def test_a_code_in_the_lowest_bits_is_red():
    audit = assessed(hide_in_low_bits, read_low_bits)
    assert audit.values["clean"] > 80
    assert audit.values["quantised"] < 20
    assert audit.values["excess_quantised"] > 30
    assert audit.level is Level.RED


def test_hidden_detail_is_red_though_the_rest_is_plain_to_see():
    audit = assessed(hide_detail, read_detail)
    assert audit.values["clean"] == pytest.approx(-20 * math.log10(0.03), abs=0.2)
    assert audit.level is Level.RED


def test_the_same_picture_without_hidden_detail_is_green():
    """The cycle is worse than with the code, and honest."""
    audit = assessed(lambda real: 1 - block_means(real), lambda fake: 1 - fake)
    assert audit.values["clean"] < 25
    assert audit.level is Level.GREEN


def test_a_copy_hides_nothing():
    assert assessed(lambda real: real, lambda fake: fake).level is Level.GREEN


def test_an_honest_contrast_map_that_is_inverted_perfectly_is_green():
    """Dark and gray swap with bright; between the brightest tissues the way back is twice as steep."""
    source, target = [0.0, 0.5, 1.0], [1.0, 0.4, 0.15]
    audit = assessed(
        lambda real: interpolate(real, source, target), lambda fake: interpolate(fake, target[::-1], source[::-1])
    )
    assert audit.values["clean"] > 90
    assert audit.level is Level.GREEN


@pytest.mark.parametrize(("gain", "level"), [(1.0, "green"), (2.0, "green"), (3.2, "amber"), (5.0, "red")])
def test_what_a_perfect_cycle_may_lose_is_the_allowed_gain(gain, level):
    """All error after a perturbation is its own, times the gain: 20 · log10(gain / 2) dB more than allowed."""
    audit = assessed(lambda real: real / gain, lambda fake: fake * gain)
    for name in PERTURBATIONS:
        assert audit.values[f"excess_{name}"] == pytest.approx(20 * math.log10(gain / 2), abs=0.01)
    assert audit.values["noisy"] == pytest.approx(-20 * math.log10(0.01 * gain), abs=0.1)
    assert audit.level.value == level


def test_perturbations_are_what_they_are_called():
    seen = []

    def back(fake):
        seen.append((fake + 1) / 2)
        return fake

    real = slices()
    record = measure_hidden_code(2 * real - 1, torch.ones(real.shape, dtype=torch.bool), lambda image: image, back)
    clean, quantised, smooth, noisy = seen
    torch.testing.assert_close(clean, real)
    steps = quantised * 255
    torch.testing.assert_close(steps, steps.round(), atol=1e-4, rtol=0)
    torch.testing.assert_close(smooth, blurred(real, 0.5))
    assert (noisy - clean).std().item() == pytest.approx(0.01, rel=0.05)
    for name, image in zip(PERTURBATIONS, (quantised, smooth, noisy)):
        assert record["changes"][name] == pytest.approx((image - clean).square().mean().item(), rel=1e-3)


def test_only_the_foreground_counts():
    foreground = torch.zeros(slices().shape, dtype=torch.bool)
    foreground[..., :20] = True

    def back(fake):
        wrong_outside = fake.clone()
        wrong_outside[..., 30:] = 0
        return wrong_outside

    assert measured(lambda real: real, back, foreground)["clean"] == 100
    assert measured(lambda real: real, back)["clean"] < 20


def test_a_perfect_cycle_is_plain_json():
    record = measured(lambda real: real, lambda fake: fake)
    assert record["clean"] == 100
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_subjects_are_averaged():
    honest, coded = measured(lambda x: x, lambda x: x), measured(hide_in_low_bits, read_low_bits)
    audit = assess_hidden_code([honest, {}, coded], "ba")
    assert audit.values["quantised"] == pytest.approx((honest["quantised"] + coded["quantised"]) / 2)
    assert audit.direction == "ba"


def test_nothing_is_measured_without_foreground():
    record = measured(lambda real: real, lambda fake: fake, torch.zeros(slices().shape, dtype=torch.bool))
    assert record == {}
    assert assess_hidden_code([record], "ab").level is Level.UNKNOWN


def test_a_cycle_that_does_not_close_is_not_judged():
    """The way back inverts the fake. Steep as it is, there is no code that it could read."""

    def back(fake):
        return (1 - fake - 0.5) * 5 + 0.5

    audit = assessed(lambda real: real, back)
    assert audit.values["clean"] < 15
    assert audit.level is Level.UNKNOWN
    assert "does not close" in audit.meaning
    assert "cycle PSNR" in audit.figure


@pytest.mark.parametrize(("clean", "level"), [(14.9, "unknown"), (15.1, "red")])
def test_a_cycle_is_judged_from_15_db_on(clean, level):
    record = dict.fromkeys(PERTURBATIONS, 5.0) | {"clean": clean, "changes": dict.fromkeys(PERTURBATIONS, 0.0)}
    assert assess_hidden_code([record], "ab").level.value == level
