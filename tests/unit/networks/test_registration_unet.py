import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy import ndimage

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.losses.smoothness import smoothness_loss
from mri_cyclegan.networks.from_monai import RegistrationUNet, warp


def network(**changes):
    torch.manual_seed(0)
    return RegistrationUNet(**({"in_channels": 1, "base_channels": 8, "depth": 2} | changes))


def blob(row, column, side=32):
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (2 * torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 50) - 1)[None, None]


def test_the_warp_is_that_of_scipy():
    random = np.random.default_rng(0)
    image, displacement = random.normal(size=(2, 3, 9, 14)), random.normal(scale=3, size=(2, 2, 9, 14))
    places = displacement + np.mgrid[:9, :14]
    assert (places < 0).any()  # beyond the edges, too
    assert (places[:, 1] > 13).any()
    expected = [
        [ndimage.map_coordinates(channel, place, order=1, mode="nearest") for channel in sample]
        for sample, place in zip(image, places, strict=True)
    ]
    found = warp(torch.from_numpy(image), torch.from_numpy(displacement))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_a_displacement_of_one_row_and_two_columns_takes_the_pixel_there():
    image = torch.arange(48.0).reshape(1, 1, 6, 8)
    shift = torch.tensor([1.0, 2.0])[None, :, None, None].expand(1, 2, 6, 8)
    torch.testing.assert_close(warp(image, shift)[0, 0, :5, :6], image[0, 0, 1:, 2:])


@pytest.mark.parametrize("channels", [1, 3])
def test_it_starts_as_the_identity(channels):
    moving, fixed = torch.rand(2, 2, channels, 16, 24) * 2 - 1
    warped, displacement = network(in_channels=channels)(moving, fixed)
    assert displacement.shape == (2, 2, 16, 24)
    assert 0 < displacement.abs().max() < 1e-3
    torch.testing.assert_close(warped, moving, atol=1e-3, rtol=0)


def test_a_known_shift_is_found():
    registration = network()
    moving, fixed = blob(16, 14), blob(14, 17)
    optimizer = torch.optim.Adam(registration.parameters(), lr=1e-2)
    for _ in range(60):
        warped, displacement = registration(moving, fixed)
        loss = (warped - fixed).square().mean() + 0.01 * smoothness_loss(displacement)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    shown = displacement[0][:, fixed[0, 0] > -0.5].mean(dim=1)
    np.testing.assert_allclose(shown.detach(), (2, -3), atol=0.3)
    assert (warped - fixed).abs().mean() < 0.1 * (moving - fixed).abs().mean()


def test_every_weight_learns_from_the_first_batch():
    registration = network()
    moving, fixed = blob(16, 14).requires_grad_(), blob(14, 17)
    warped, _ = registration(moving, fixed)
    (warped - fixed).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in registration.parameters())
    assert moving.grad.abs().max() > 0


def test_both_images_are_seen():
    registration = network()
    torch.nn.init.normal_(list(registration.parameters())[-2])
    moving, fixed = torch.randn(2, 1, 1, 16, 16)
    displacements = [registration(*pair)[1] for pair in ((moving, fixed), (moving, -fixed), (-moving, fixed))]
    assert not torch.allclose(displacements[0], displacements[1])
    assert not torch.allclose(displacements[0], displacements[2])


def test_a_sample_does_not_depend_on_its_neighbors_in_the_batch():
    registration = network().double()
    torch.nn.init.normal_(list(registration.parameters())[-2])
    moving, fixed = torch.randn(2, 3, 1, 16, 16, dtype=torch.float64)
    alone = [registration(moving[i : i + 1], fixed[i : i + 1]) for i in range(3)]
    for together, apart in zip(registration(moving, fixed), zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(together, torch.cat(apart))


def test_positions_keep_their_fractions_in_half_precision():
    """In bfloat16 a displacement of 0.3 would leave column 200 where it is."""
    registration = network(depth=1)
    last = list(registration.parameters())[-1]
    last.data[:] = torch.tensor([0.0, 0.3])
    ramp = torch.linspace(-1, 1, 256).expand(1, 1, 4, 256).contiguous()
    with torch.autocast("cpu", torch.bfloat16):
        warped, displacement = registration(ramp, ramp)
    assert warped.dtype == displacement.dtype == torch.float32
    torch.testing.assert_close(warped[..., :-1], ramp[..., :-1] + 0.3 * 2 / 255, atol=1e-4, rtol=0)
    half, _ = registration.bfloat16()(ramp.bfloat16(), ramp.bfloat16())
    assert half.dtype == torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_displacement_that_is_not_finite_makes_an_image_that_is_not(value):
    """And no process that reads from anywhere in memory."""
    image = torch.rand(2, 1, 32, 32, requires_grad=True)
    displacement = torch.full((2, 2, 32, 32), value, requires_grad=True)
    moved = warp(image, displacement)
    moved.sum().backward()
    assert moved.isnan().all()


def test_sides_must_fit_the_depth():
    registration = network(depth=3)
    assert registration.size_multiple == 8
    assert registration(torch.zeros(1, 1, 8, 16), torch.zeros(1, 1, 8, 16))[0].shape == (1, 1, 8, 16)
    with pytest.raises(ValueError, match=r"registration network of depth 3: expected sides that are multiples of 8"):
        registration(torch.zeros(1, 1, 12, 16), torch.zeros(1, 1, 12, 16))
    with pytest.raises(ValueError, match=r"extra_loss\.paired\.registration_\*\.depth: expected at least 1, got 0"):
        network(depth=0)


def test_the_option_is_voxelmorphs_at_a_depth_of_four_and_takes_stacks():
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        words = ["+registration@extra_loss.paired.registration_a=unet", "data.num_adjacent_slices=1"]
        registration = instantiate(compose("train", overrides=words).extra_loss.paired.registration_a)
    assert registration(torch.zeros(1, 3, 16, 32), torch.zeros(1, 3, 16, 32))[0].shape == (1, 3, 16, 32)
    # 3×3 convolutions with biases: down, bottom, up with the skip connections, and the last three at full resolution.
    sizes = [(6, 16), (16, 32), *[(32, 32)] * 3, *[(64, 32)] * 3, (48, 32), (32, 16), (16, 16), (16, 2)]
    expected = sum(9 * inputs * outputs + outputs for inputs, outputs in sizes)
    assert sum(parameter.numel() for parameter in registration.parameters()) == expected
