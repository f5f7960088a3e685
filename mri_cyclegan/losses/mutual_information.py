"""Mutual-information losses between two images."""

import torch
from torch import Tensor
from torch.nn import functional

NUM_BINS = 23
LOCAL_NUM_BINS = 16  # fewer, since a patch has fewer pixels

PATCH_SIDE = 32
PATCH_STRIDE = PATCH_SIDE // 2

# In nats: a source with less information counts as flat.
MIN_INFORMATION_NATS = 0.01

# Smaller bin weights are set to 0: their products would be denormal numbers, which make a CPU ten times slower.
SMALLEST_WEIGHT = 1e-12

# Keeps the logarithms of empty bins finite.
EPSILON = 1e-7


def mutual_information_loss(fake: Tensor, source: Tensor) -> Tensor:
    """One minus the share of the source's information that the fake preserves, averaged over images.

    The share is I(fake; source) / I(source; source), where I is mutual information estimated on 23 bins with Gaussian
    Parzen windows, σ being half the bin spacing. The division makes a loss of 0 mean the same for any source and number
    of bins.

    Args:
        fake: (N, 1, H, W), in [-1, 1].
        source: (N, 1, H, W), in [-1, 1], of another contrast.

    Returns:
        Scalar, about 1 for a flat fake or a flat source; about 0 if fake and source determine each other. It is
        slightly negative if the fake also spreads its intensities wider than the source, as the windows blur it less.

    Reference:
        Viola and Wells, "Alignment by maximization of mutual information", IJCV 1997; Guo, "Multi-modality image
        registration using deep learning", MIT 2019, section 3.1, eq. 3.1 to 3.5.
    """
    of_fake, of_source = (_parzen_weights(image, NUM_BINS).flatten(1, 2) for image in (fake, source))
    with torch.no_grad():
        everything = _information(_joint(of_source, of_source))
    return _lost_information(_information(_joint(of_fake, of_source)), everything)


def local_mutual_information_loss(fake: Tensor, source: Tensor) -> Tensor:
    """As :func:`mutual_information_loss`, in half-overlapping patches of 32×32 pixels, with 16 bins.

    The relation between intensities may then vary over the image, with a bias field or from one tissue to another.
    Patches are weighted by the information of the source in them, flat ones by 0: the share is Σ I(fake; source) /
    Σ I(source; source), with sums over patches.

    Args:
        fake: (N, 1, H, W), in [-1, 1].
        source: (N, 1, H, W), in [-1, 1], of another contrast.

    Returns:
        As :func:`mutual_information_loss`.

    Reference:
        Studholme et al., "Deformation-based mapping of volume change from serial brain MRI in the presence of local
        tissue contrast change", IEEE TMI 2006 (regional mutual information).
    """
    of_fake, of_source = (_parzen_weights(_pad_to_patches(image), LOCAL_NUM_BINS) for image in (fake, source))
    with torch.no_grad():
        everything = _information_of_patches(of_source, of_source)
    return _lost_information(_information_of_patches(of_fake, of_source), everything)


def _lost_information(shared: Tensor, everything: Tensor) -> Tensor:
    return 1 - (shared / everything.clamp(min=MIN_INFORMATION_NATS)).mean()


def _parzen_weights(image: Tensor, num_bins: int) -> Tensor:
    """Parzen weights of each pixel in each bin: (N, 1, H, W) in [-1, 1] to (N, H, W, num_bins), summing to 1 per pixel.

    A Gaussian window divided by its sum over bins is a softmax of -(x - c)² / 2σ², in which the x² term cancels.
    """
    value = ((image[:, 0] + 1) / 2).clamp(0, 1)
    centers = torch.linspace(0, 1, num_bins, dtype=image.dtype, device=image.device)
    sharpness = 2 * (num_bins - 1) ** 2  # 1 / 2σ², σ being half the bin spacing
    weights = (sharpness * (2 * value[..., None] * centers - centers.square())).softmax(dim=-1)
    return functional.threshold(weights, SMALLEST_WEIGHT, 0.0)


def _joint(of_one: Tensor, of_other: Tensor) -> Tensor:
    """Joint distribution of the bins, (..., num_bins, num_bins), from weights of K pixels, (..., K, num_bins)."""
    return of_one.mT @ of_other / of_one.shape[-2]


def _information(joint: Tensor) -> Tensor:
    """Mutual information in nats of joint distributions, (..., num_bins, num_bins) to (...)."""
    apart = joint.sum(dim=-1, keepdim=True) * joint.sum(dim=-2, keepdim=True)
    return (joint * ((joint + EPSILON).log() - (apart + EPSILON).log())).sum(dim=(-1, -2))


def _information_of_patches(of_one: Tensor, of_other: Tensor) -> Tensor:
    """Mean over patches of the mutual information, (N,), from weights, (N, H, W, num_bins).

    A patch consists of four squares with half its side, and neighboring patches share them: joint distributions are
    computed once per square and averaged over the four squares of each patch.
    """
    joint = _joint(_split_squares(of_one), _split_squares(of_other))
    joint = joint[:, 1:] + joint[:, :-1]
    joint = joint[:, :, 1:] + joint[:, :, :-1]
    return _information(joint / 4).mean(dim=(1, 2))


def _split_squares(weights: Tensor) -> Tensor:
    """Split into 16×16 squares: (N, H, W, num_bins) to (N, H / 16, W / 16, 256, num_bins)."""
    side = PATCH_STRIDE
    return weights.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3).flatten(3, 4)


def _pad_to_patches(image: Tensor) -> Tensor:
    """Pad (N, 1, H, W) at the bottom and right, replicating the border, until patches cover the image."""
    missing = [max(0, PATCH_SIDE - side) or (PATCH_SIDE - side) % PATCH_STRIDE for side in image.shape[-2:]]
    return functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")
