"""Modality-independent neighbourhood descriptor, in two dimensions."""

import torch
from torch import Tensor
from torch.nn import functional

# 24 neighbours of a pixel; a patch is 7×7, weighted by a Gaussian.
SEARCH_RADIUS = 2
PATCH_RADIUS = 3
PATCH_SIGMA = 1.0

STEPS = range(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
NEIGHBOURS = [(down, right) for down in STEPS for right in STEPS if (down, right) != (0, 0)]
NEAREST = [index for index, (down, right) in enumerate(NEIGHBOURS) if abs(down) + abs(right) == 1]

# Floor of the local variance: a share of the image's mean variance, and one for an image of one value only.
VARIANCE_SHARE = 0.1
VARIANCE_FLOOR = 1e-6


def mind_loss(fake: Tensor, source: Tensor) -> Tensor:
    """Mean absolute difference of the two images' descriptors.

    Args:
        fake: (N, 1, H, W).
        source: (N, 1, H, W), of another contrast.

    Returns:
        Scalar, in [0, 1): 0 if each image is an affine function of the other, whatever its sign; near 0 if the
        function changes from place to place, as long as it does so slowly.

    Reference:
        Yang et al., "Unsupervised MR-to-CT synthesis using structure-constrained CycleGAN", IEEE TMI 2020
        (structure-consistency loss, with a search region of 9×9).
    """
    return functional.l1_loss(neighbourhood_descriptor(fake), neighbourhood_descriptor(source))


def neighbourhood_descriptor(image: Tensor) -> Tensor:
    """How alike the patch around each pixel is to the patches around its neighbours.

    Beyond the border the image goes on with its outermost pixels.

    Args:
        image: (N, 1, H, W).

    Returns:
        (N, 24, H, W), in [0, 1], of each pixel at least one value 1; the neighbours in reading order.

    Reference:
        Heinrich et al., "MIND: modality independent neighbourhood descriptor for multi-modal deformable registration",
        Medical Image Analysis 2012, section 3.
    """
    distances = _patch_distances(image)
    variance = distances[:, NEAREST].mean(dim=1, keepdim=True)
    # In air and in flat tissue the variance is next to nothing: divided by it, noise and rounding would count as much
    # as anatomy, with gradients that grow without bound. The paper's authors take a floor of a thousandth of the
    # image's mean. With a tenth, the steps of a fake computed in bfloat16, 0.004 near -1, do not outweigh anatomy,
    # and between T1w and T2w of the phantom, which have noise, a shift by one pixel raises the loss by a third, not by
    # a quarter.
    floor = VARIANCE_SHARE * variance.mean(dim=(2, 3), keepdim=True) + VARIANCE_FLOOR
    return torch.exp((distances.amin(dim=1, keepdim=True) - distances) / torch.maximum(variance, floor))


def _patch_distances(image: Tensor) -> Tensor:
    """Weighted mean squared difference of each pixel's patch from its neighbours' patches, (N, 24, H, W)."""
    height, width = image.shape[-2:]
    padded = functional.pad(image, [SEARCH_RADIUS] * 4, mode="replicate")
    down_right = ((SEARCH_RADIUS + down, SEARCH_RADIUS + right) for down, right in NEIGHBOURS)
    shifted = torch.cat([padded[..., top : top + height, left : left + width] for top, left in down_right], dim=1)
    return _patch_mean((shifted - image).square())


def _patch_mean(maps: Tensor) -> Tensor:
    offsets = torch.arange(-PATCH_RADIUS, PATCH_RADIUS + 1, dtype=maps.dtype, device=maps.device)
    weights = torch.softmax(-offsets.square() / (2 * PATCH_SIGMA**2), dim=0)
    weights = weights.expand(maps.shape[1], 1, 1, -1)
    padded = functional.pad(maps, [PATCH_RADIUS] * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(padded, weights.mT, groups=len(weights)), weights, groups=len(weights))
