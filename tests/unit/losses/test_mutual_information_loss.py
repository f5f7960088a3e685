import numpy as np
import pytest
import torch
from monai.losses import GlobalMutualInformationLoss

from mri_cyclegan.losses.mutual_information import local_mutual_information_loss, mutual_information_loss
from tests.unit.losses.two_contrast_head import head


def information(x, y, num_bins):
    """Mutual information in nats of two arrays in [-1, 1], from Gaussian windows half a bin wide."""
    centers = np.linspace(-1, 1, num_bins)
    sigma = 0.5 * (centers[1] - centers[0])
    weights = []
    for values in (x, y):
        window = np.exp(-0.5 * ((values.reshape(-1, 1) - centers) / sigma) ** 2)
        weights.append(window / window.sum(axis=1, keepdims=True))
    joint = weights[0].T @ weights[1] / x.size
    apart = np.outer(weights[0].mean(axis=0), weights[1].mean(axis=0))
    present = joint > 0
    return (joint[present] * np.log(joint[present] / apart[present])).sum()


def corners(side):
    return range(0, max(side - 32, 0) + 1, 16)


def test_is_the_share_of_the_sources_information():
    fake, source = head("T2w", 1.0).numpy()[0, 0], head("T1w").numpy()[0, 0]
    expected = 1 - information(fake, source, 23) / information(source, source, 23)
    result = mutual_information_loss(head("T2w", 1.0), head("T1w"))
    assert result.item() == pytest.approx(expected, abs=1e-4) and 0.2 < expected < 0.8


@pytest.mark.parametrize(("shape", "padded"), [((48, 64), (48, 64)), ((40, 57), (48, 64)), ((20, 33), (32, 48))])
def test_local_sums_over_half_overlapping_patches(shape, padded):
    images = [
        head(contrast, right, side=64)[..., : shape[0], : shape[1]] for contrast, right in (("T2w", 1), ("T1w", 0))
    ]
    widths = [(0, new - old) for old, new in zip(shape, padded)]
    fake, source = (np.pad(image[0, 0].numpy(), widths, mode="edge") for image in images)
    shared = everything = 0.0
    for top in corners(padded[0]):
        for left in corners(padded[1]):
            patch = np.s_[top : top + 32, left : left + 32]
            shared += information(fake[patch], source[patch], 16)
            everything += information(source[patch], source[patch], 16)
    assert local_mutual_information_loss(*images).item() == pytest.approx(1 - shared / everything, abs=1e-4)


@pytest.mark.parametrize("loss", [mutual_information_loss, local_mutual_information_loss])
def test_any_exchange_of_intensities_keeps_all_information(loss):
    num_bins = 23 if loss is mutual_information_loss else 16
    values = torch.linspace(-1, 1, num_bins)[2:-2:4]  # bin centers far apart
    labels = torch.randint(len(values), (2, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    exchanged = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(1))]
    assert loss(exchanged[labels], values[labels]).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("loss", [mutual_information_loss, local_mutual_information_loss])
def test_nothing_in_common_is_a_loss_of_one(loss):
    stripes = (torch.arange(32) % 2 * 1.0 - 0.5).expand(1, 1, 32, 32)
    assert loss(stripes, stripes.mT).item() == pytest.approx(1, abs=1e-4)
    assert loss(torch.full_like(stripes, -1.0), stripes).item() == pytest.approx(1, abs=1e-4)


def test_dark_intensities_are_told_apart():
    stripes = (torch.arange(32) % 2 * 0.5 - 1).expand(1, 1, 32, 32)
    assert mutual_information_loss(stripes, stripes).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("loss", [mutual_information_loss, local_mutual_information_loss])
def test_each_image_counts_the_same(loss):
    """So two batches have the mean of their losses: gradients may be accumulated, or averaged over processes."""
    little_to_know = 0.2 * head("T1w") - 0.8
    fakes, sources = [head("T2w", 1.0), head("T2w")], [head("T1w"), little_to_know]
    apart = [loss(fake, source).item() for fake, source in zip(fakes, sources)]
    together = loss(torch.cat(fakes), torch.cat(sources)).item()
    assert together == pytest.approx(sum(apart) / 2, abs=1e-6) and abs(apart[0] - apart[1]) > 0.05


def test_flat_patches_neither_help_nor_harm():
    fake, source = head("T2w", 1.0), head("T1w")
    width = source.shape[-1]
    with_air = [torch.nn.functional.pad(image, (0, 2 * width), value=-1.0) for image in (fake, source)]
    images_alone = [image[..., : width + 32] for image in with_air]
    assert local_mutual_information_loss(*with_air).item() == pytest.approx(
        local_mutual_information_loss(*images_alone).item(), abs=1e-4
    )


@pytest.mark.parametrize("loss", [mutual_information_loss, local_mutual_information_loss])
def test_precision_is_that_of_the_images(loss):
    """Not torch's default, which is a training's own where it is bfloat16."""
    fake, source = head("T2w", 1.0).float(), head("T1w").float()
    expected = loss(fake, source)
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = loss(fake, source)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_agrees_with_monai():
    fake, source = head("T2w", 1.0), head("T1w")
    reference = GlobalMutualInformationLoss(num_bins=23)
    images = [((image + 1) / 2).requires_grad_() for image in (fake, source)]
    expected = 1 - reference(*images) / reference(images[1], images[1]).detach()
    fake.requires_grad_()
    found = mutual_information_loss(fake, source)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    (expected_gradient,) = torch.autograd.grad(expected, images[0])
    (gradient,) = torch.autograd.grad(found, fake)
    torch.testing.assert_close(gradient, expected_gradient / 2, atol=1e-7, rtol=1e-3)


def test_local_follows_a_meaning_that_changes_from_place_to_place():
    source = torch.cat([head("T1w"), head("T1w")], dim=-1)
    fake = torch.cat([head("T2w"), -head("T2w")], dim=-1)
    assert local_mutual_information_loss(fake, source) < mutual_information_loss(fake, source) - 0.05
