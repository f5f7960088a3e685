"""Modality-independent neighborhood descriptor (MIND) in 2-D."""

import torch
from torch import Tensor
from torch.nn import functional

# A pixel has 24 neighbors; a patch is 7×7, weighted by a Gaussian.
SEARCH_RADIUS = 2
PATCH_RADIUS = 3
PATCH_SIGMA = 1.0

STEPS = range(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
NEIGHBORS = [(down, right) for down in STEPS for right in STEPS if (down, right) != (0, 0)]
NEAREST = [index for index, (down, right) in enumerate(NEIGHBORS) if abs(down) + abs(right) == 1]

# Floor of the local variance: a share of the image's mean variance, plus a constant for constant images.
VARIANCE_SHARE = 0.1
VARIANCE_FLOOR = 1e-6


def mind_loss(fake: Tensor, source: Tensor) -> Tensor:
    """Mean absolute difference between the MIND descriptors of two images.

    Args:
        fake: (N, 1, H, W).
        source: (N, 1, H, W), of another contrast.

    Returns:
        Scalar, in [0, 1): 0 if each image is an affine function of the other, with positive or negative slope; near 0
        if that function varies slowly over the image.

    Reference:
        Yang et al., "Unsupervised MR-to-CT synthesis using structure-constrained CycleGAN", IEEE TMI 2020
        (structure-consistency loss, with a search region of 9×9).
    """
    return functional.l1_loss(neighborhood_descriptor(fake), neighborhood_descriptor(source))


def neighborhood_descriptor(image: Tensor) -> Tensor:
    """Similarity between the patch around each pixel and the patches around its neighbors.

    Args:
        image: (N, 1, H, W); padded by replicating its border.

    Returns:
        (N, 24, H, W), in [0, 1], with at least one 1 per pixel; neighbors in row-major order.

    Reference:
        Heinrich et al., "MIND: modality independent neighborhood descriptor for multi-modal deformable registration",
        Medical Image Analysis 2012, section 3.
    """
    distances = _patch_distances(image)
    variance = distances[:, NEAREST].mean(dim=1, keepdim=True)
    # In air and homogeneous tissue the variance is close to 0: dividing by it would give noise and rounding as much
    # influence as anatomy, and unbounded gradients. The paper's authors use a floor of a thousandth of the image's
    # mean variance. With a tenth, the rounding steps of a fake in bfloat16 (0.004 near -1) do not outweigh anatomy, and
    # between noisy T1w and T2w of the phantom a one-pixel shift raises the loss by a third instead of a quarter.
    floor = VARIANCE_SHARE * variance.mean(dim=(2, 3), keepdim=True) + VARIANCE_FLOOR
    return torch.exp((distances.amin(dim=1, keepdim=True) - distances) / torch.maximum(variance, floor))


def _patch_distances(image: Tensor) -> Tensor:
    """Weighted mean squared difference between each pixel's patch and its neighbors' patches, (N, 24, H, W)."""
    height, width = image.shape[-2:]
    padded = functional.pad(image, [SEARCH_RADIUS] * 4, mode="replicate")
    down_right = ((SEARCH_RADIUS + down, SEARCH_RADIUS + right) for down, right in NEIGHBORS)
    shifted = torch.cat([padded[..., top : top + height, left : left + width] for top, left in down_right], dim=1)
    return _patch_mean((shifted - image).square())


def _patch_mean(maps: Tensor) -> Tensor:
    offsets = torch.arange(-PATCH_RADIUS, PATCH_RADIUS + 1, dtype=maps.dtype, device=maps.device)
    weights = torch.softmax(-offsets.square() / (2 * PATCH_SIGMA**2), dim=0)
    weights = weights.expand(maps.shape[1], 1, 1, -1)
    padded = functional.pad(maps, [PATCH_RADIUS] * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(padded, weights.mT, groups=len(weights)), weights, groups=len(weights))
