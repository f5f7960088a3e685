import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from mri_cyclegan.losses.cycle import CYCLE_LOSSES, cycle_loss, identity_loss


def noisy_pair(shape=(2, 1, 40, 33), air=11):
    """Two images in [-1, 1], float64, in a rim of air, where programs differ in what they find beyond the border."""
    random = np.random.default_rng(0)
    real = random.uniform(-1, 1, shape)
    cycled = np.clip(real + random.normal(0, 0.6, shape), -1, 1)
    for image in (real, cycled):
        image[..., :air, :] = image[..., -air:, :] = image[..., :air] = image[..., -air:] = -1
    return torch.from_numpy(cycled), torch.from_numpy(real)


@pytest.mark.parametrize("loss", [lambda made, real: cycle_loss(made, real, "l1"), identity_loss])
def test_mean_absolute_difference(loss):
    made = torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]])
    real = torch.tensor([[[[-1.0, -1.0], [0.0, 0.25]]]])
    assert loss(made, real).item() == pytest.approx((2 + 0 + 0.5 + 0.25) / 4)
    assert loss(real, real).item() == 0.0


def test_structural_part_is_scikit_images():
    cycled, real = noisy_pair()
    settings = dict(data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)
    as_shares = [((image[:, 0] + 1) / 2).numpy() for image in (cycled, real)]
    similarity = np.mean([structural_similarity(*pair, **settings)[1] for pair in zip(*as_shares)])
    expected = 0.16 * np.abs(cycled - real).mean().item() + 0.84 * (1 - similarity)
    assert similarity < 0.97
    assert cycle_loss(cycled, real, "l1_ssim").item() == pytest.approx(expected, abs=1e-9)


def test_neighboring_slices_are_compared_one_by_one():
    cycled, real = noisy_pair((2, 3, 24, 24), air=0)
    alone = [cycle_loss(cycled[:, [i]], real[:, [i]], "l1_ssim").item() for i in range(3)]
    assert cycle_loss(cycled, real, "l1_ssim").item() == pytest.approx(np.mean(alone))


def test_gradient_of_l1_ssim_is_that_of_finite_differences():
    cycled, real = noisy_pair((1, 1, 11, 12), air=0)
    cycled.requires_grad_()
    assert torch.autograd.gradcheck(lambda image: cycle_loss(image, real, "l1_ssim"), cycled)


@pytest.mark.parametrize("kind", CYCLE_LOSSES)
def test_air_alone_is_perfect_with_finite_gradient(kind):
    air = torch.full((1, 1, 16, 16), -1.0)
    cycled = air.clone().requires_grad_()
    loss = cycle_loss(cycled, air, kind)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and cycled.grad.isfinite().all()


def test_mixed_precision_does_not_blur_the_structural_part():
    cycled, real = (image.bfloat16() for image in noisy_pair())
    expected = cycle_loss(cycled.float(), real.float(), "l1_ssim").item()
    with torch.autocast("cpu", torch.bfloat16):
        assert cycle_loss(cycled, real, "l1_ssim").item() == pytest.approx(expected, rel=1e-6)


def test_a_wrong_choice_names_key_and_way_out():
    image = torch.zeros(1, 1, 10, 16)
    with pytest.raises(ValueError, match=r"model\.cycle_loss.*l1, l1_ssim.*'ssim'"):
        cycle_loss(image, image, "ssim")
    with pytest.raises(ValueError, match=r"model\.cycle_loss.*11 pixels, got \(10, 16\).*data\.image_size"):
        cycle_loss(image, image, "l1_ssim")
