import numpy as np
import pytest
import torch
from monai.metrics import MultiScaleSSIMMetric
from skimage.metrics import structural_similarity

from mri_cyclegan.evaluation.metrics.local_similarity import SSIMComponents, downsample_2x
from mri_cyclegan.evaluation.metrics.paired import SCALE_WEIGHTS


def images(seed, shape):
    random = np.random.default_rng(seed)
    target = random.random(shape)
    return np.clip(target + random.normal(0, 0.2, shape), 0, 1), target


def scikit_map(prediction, target, **changes):
    settings = dict(data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)
    return structural_similarity(prediction, target, **(settings | changes))[1]


@pytest.mark.parametrize("shape", [(40, 33), (11, 64), (181, 217)])
def test_the_map_is_scikit_images_to_the_border(shape):
    prediction, target = images(0, (2, *shape))
    luminance, contrast_structure = SSIMComponents(target)(prediction)
    for number in range(2):
        expected = scikit_map(prediction[number], target[number])
        np.testing.assert_allclose((luminance * contrast_structure)[number], expected, atol=1e-9)
        # A huge C1 makes the luminance factor 1.
        without_luminance = scikit_map(prediction[number], target[number], K1=1e6)
        np.testing.assert_allclose(contrast_structure[number], without_luminance, atol=1e-6)


def test_means_over_the_interior_of_each_scale_give_monais_multiscale_ssim():
    prediction, target = images(1, (3, 192, 180))
    oracle = MultiScaleSSIMMetric(spatial_dims=2, data_range=1.0, kernel_size=11, kernel_sigma=1.5)
    expected = oracle(torch.from_numpy(prediction)[:, None], torch.from_numpy(target)[:, None])
    interior = slice(5, -5)  # MONAI leaves out windows that reach beyond the border
    factors = []
    for scale in range(5):
        luminance, contrast_structure = SSIMComponents(target)(prediction)
        image = luminance * contrast_structure if scale == 4 else contrast_structure
        factors.append(image[:, interior, interior].mean(axis=(1, 2)))
        prediction, target = downsample_2x(prediction), downsample_2x(target)
    result = np.prod([factor**weight for factor, weight in zip(factors, SCALE_WEIGHTS)], axis=0)
    np.testing.assert_allclose(result, expected[:, 0].numpy(), atol=1e-4)


def test_halving_takes_means_and_leaves_out_the_last_odd_pixel():
    image = np.arange(15.0).reshape(1, 3, 5)
    np.testing.assert_array_equal(downsample_2x(image), [[[3.0, 5.0]]])
    np.testing.assert_array_equal(downsample_2x(np.ones((2, 1, 4))), np.ones((2, 1, 2)))
