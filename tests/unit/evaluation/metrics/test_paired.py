import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import (
    normalized_mutual_information,
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)

from mri_cyclegan.evaluation.metrics.paired import MAX_PSNR_DB, SCALE_WEIGHTS, measure_paired
from mri_cyclegan.evaluation.metrics.spectrum import log_spectrum_distance, radial_power_spectrum


def random_volumes(seed, shape=(19, 48, 53)):
    """Prediction, target and mask; values at both ends of the scale, so that bins are the oracle's."""
    random = np.random.default_rng(seed)
    target = ndimage.gaussian_filter(random.random(shape), 1.5)
    target = (target - target.min()) / np.ptp(target)
    prediction = np.clip(target + random.normal(0, 0.1, shape), 0, 1)
    mask = random.random(shape) < 0.6
    for image in (prediction, target):
        image[mask & (np.cumsum(mask).reshape(shape) == 1)] = 0
        image[mask & (np.cumsum(mask).reshape(shape) == 2)] = 1
    return prediction, target, mask


def scikit_maps(prediction, target, **changes):
    settings = dict(data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)
    return np.stack([structural_similarity(p, t, **(settings | changes))[1] for p, t in zip(prediction, target)])


def multiscale_by_scikit(prediction, target, mask, num_scales):
    weights, factors = mask.astype(float), []
    for scale in range(num_scales):
        last = scale == num_scales - 1
        # Contrast times structure alone: a huge C1 makes the luminance factor 1.
        maps = scikit_maps(prediction, target, **({} if last else {"K1": 1e6}))
        factors.append(np.average(maps, weights=weights))
        prediction, target, weights = (
            np.stack(
                [
                    ndimage.uniform_filter(s, 2, origin=-1)[: s.shape[0] // 2 * 2 : 2, : s.shape[1] // 2 * 2 : 2]
                    for s in v
                ]
            )
            for v in (prediction, target, weights)
        )
    shares = np.array(SCALE_WEIGHTS[:num_scales]) / sum(SCALE_WEIGHTS[:num_scales])
    return np.prod(np.array(factors) ** shares)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_metric_equals_its_oracle_on_random_volumes_and_masks(seed):
    prediction, target, mask = random_volumes(seed)
    result = measure_paired({"model": prediction}, target, {"foreground": mask})["model"]["foreground"]
    assert result["psnr"] == pytest.approx(
        peak_signal_noise_ratio(target[mask], prediction[mask], data_range=1), abs=1e-6
    )
    assert result["ssim"] == pytest.approx(scikit_maps(prediction, target)[mask].mean(), abs=1e-6)
    assert result["mae"] == pytest.approx(np.abs(prediction - target)[mask].mean(), abs=1e-6)
    assert result["nmse"] == pytest.approx(normalized_root_mse(target[mask], prediction[mask]) ** 2, abs=1e-6)
    assert result["nmi"] == pytest.approx(
        normalized_mutual_information(target[mask], prediction[mask], bins=64), abs=1e-6
    )
    assert result["ms_ssim"] == pytest.approx(multiscale_by_scikit(prediction, target, mask, 3), abs=1e-4)


def test_with_176_pixels_there_are_five_scales():
    prediction, target, mask = random_volumes(3, (3, 176, 180))
    result = measure_paired({"model": prediction}, target, {"foreground": mask})["model"]["foreground"]
    assert result["ms_ssim"] == pytest.approx(multiscale_by_scikit(prediction, target, mask, 5), abs=1e-4)


def test_methods_and_regions_do_not_disturb_each_other():
    prediction, target, mask = random_volumes(4)
    whole = np.ones_like(mask)
    together = measure_paired({"one": prediction, "two": target[::-1]}, target, {"foreground": mask, "whole": whole})
    for method, image in (("one", prediction), ("two", target[::-1])):
        for region, where in (("foreground", mask), ("whole", whole)):
            alone = measure_paired({"x": image}, target, {"y": where})["x"]["y"]
            assert together[method][region] == pytest.approx(alone, abs=1e-12)


def test_the_truth_itself_scores_best():
    _, target, mask = random_volumes(5)
    result = measure_paired({"model": target}, target, {"foreground": mask})["model"]["foreground"]
    expected = {"psnr": MAX_PSNR_DB, "ssim": 1, "ms_ssim": 1, "mae": 0, "nmse": 0, "nmi": 2}
    assert result == pytest.approx(expected, abs=1e-9)


# The pitfalls that the protocol exists for


@pytest.fixture(scope="module")
def head():
    """A smooth target with texture, and the mask of its head."""
    random = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in (12, 64, 64)], indexing="ij")
    mask = sum((axis / radius) ** 2 for axis, radius in zip(axes, (0.9, 0.8, 0.7))) < 1
    texture = ndimage.gaussian_filter(random.normal(size=mask.shape), (0, 1.2, 1.2))
    return np.where(mask, np.clip(0.55 + 0.5 * texture, 0, 1), 0.0), mask


def scores(prediction, head):
    target, mask = head
    return measure_paired({"model": prediction}, target, {"foreground": mask})["model"]["foreground"]


def test_a_global_intensity_error_of_15_percent_loses_its_points(head):
    """Protocols that normalize each image by its own maximum or mean call this prediction perfect."""
    target, mask = head
    result = scores(0.85 * target, head)
    assert result["psnr"] == pytest.approx(-10 * np.log10(np.mean((0.15 * target[mask]) ** 2)), abs=1e-9)
    assert result["psnr"] < 25
    assert result["nmse"] == pytest.approx(0.15**2, abs=1e-12)
    assert result["ssim"] < 0.99


@pytest.mark.parametrize("shift", [0.02, 0.1])
def test_a_global_shift_is_seen(head, shift):
    result = scores(head[0] + shift, head)
    assert result["mae"] == pytest.approx(shift, abs=1e-12)
    assert result["psnr"] == pytest.approx(-20 * np.log10(shift), abs=1e-9)
    assert result["ssim"] < 1 - shift / 100


def test_a_blurred_truth_scores_lower_in_ssim_and_spectrum_distance(head):
    target, mask = head
    spacing_mm = (1.0, 1.0, 1.0)
    truth = radial_power_spectrum(target, spacing_mm, mask)
    ssim, distance = [1.0], [0.0]
    for sigma in (0.5, 1.0, 2.0):
        blurred = ndimage.gaussian_filter(target, (0, sigma, sigma))
        ssim.append(scores(blurred, head)["ssim"])
        distance.append(log_spectrum_distance(radial_power_spectrum(blurred, spacing_mm, mask), truth))
    assert (np.diff(ssim) < -0.01).all()
    assert (np.diff(distance) > 0.5).all()


def test_a_shift_by_half_a_voxel_is_seen(head):
    moved = ndimage.shift(head[0], (0, 0, 0.5), order=1)
    result = scores(moved, head)
    assert result["ssim"] < 0.97
    assert result["psnr"] < 35


def test_a_constant_inside_a_perfect_frame_is_judged_by_the_foreground(head):
    """Over the whole volume the many background voxels would flatter it."""
    target, mask = head
    prediction = np.where(mask, target[mask].mean(), 0)
    result = measure_paired({"model": prediction}, target, {"foreground": mask, "whole": np.ones_like(mask)})["model"]
    assert result["whole"]["psnr"] > result["foreground"]["psnr"] + 2
    assert result["whole"]["ssim"] > result["foreground"]["ssim"] + 0.2
