"""How little one image tells about another."""

import torch
from torch import Tensor
from torch.nn import functional

NUM_BINS = 23
LOCAL_NUM_BINS = 16  # a patch has fewer pixels to fill them

PATCH_SIDE = 32
PATCH_STRIDE = PATCH_SIDE // 2

# In nats: the information of a source below which it is taken as flat.
FLAT = 0.01

# Of a pixel that is hardly in a bin. Below it a weight is 0: products of smaller ones are denormal numbers, which make
# a CPU ten times slower.
SMALLEST_WEIGHT = 1e-12

# Keeps logarithms of empty bins finite.
EPSILON = 1e-7


def mutual_information_loss(fake: Tensor, source: Tensor) -> Tensor:
    """One minus the share of the source's information that the fake holds, in the mean over images.

    The share is I(fake; source) / I(source; source), I being mutual information from Gaussian Parzen windows, half as
    wide as the distance of 23 bins. By the division a loss of 0 means the same for any source and number of bins.

    Args:
        fake: (N, 1, H, W), in [-1, 1].
        source: likewise, of another contrast.

    Returns:
        Scalar, about 1 for a flat fake or a flat source; about 0 if fake and source determine each other. Somewhat
        below 0 if, besides, the fake spreads its intensities wider than the source, which the windows blur less.

    Reference:
        Viola and Wells, "Alignment by maximization of mutual information", IJCV 1997; Guo, "Multi-modality image
        registration using deep learning", MIT 2019, section 3.1, eq. 3.1 to 3.5.
    """
    of_fake, of_source = (_weights(image, NUM_BINS).flatten(1, 2) for image in (fake, source))
    with torch.no_grad():
        everything = _information(_joint(of_source, of_source))
    return _lost_share(_information(_joint(of_fake, of_source)), everything)


def local_mutual_information_loss(fake: Tensor, source: Tensor) -> Tensor:
    """As :func:`mutual_information_loss`, in half-overlapping patches of 32×32 pixels, with 16 bins.

    What an intensity means may then change from place to place: by a bias field, or from one tissue to another. A patch
    counts in its image by what there is to know about it, a flat one not at all: the share is Σ I(fake; source) /
    Σ I(source; source), with sums over patches.

    Args:
        fake: (N, 1, H, W), in [-1, 1].
        source: likewise, of another contrast.

    Returns:
        As :func:`mutual_information_loss`.

    Reference:
        Studholme et al., "Deformation-based mapping of volume change from serial brain MRI in the presence of local
        tissue contrast change", IEEE TMI 2006 (regional mutual information).
    """
    of_fake, of_source = (_weights(_fit_patches(image), LOCAL_NUM_BINS) for image in (fake, source))
    with torch.no_grad():
        everything = _information_of_patches(of_source, of_source)
    return _lost_share(_information_of_patches(of_fake, of_source), everything)


def _lost_share(shared: Tensor, everything: Tensor) -> Tensor:
    return 1 - (shared / everything.clamp(min=FLAT)).mean()


def _weights(image: Tensor, num_bins: int) -> Tensor:
    """(N, 1, H, W) in [-1, 1] to the share of each pixel in each bin, (N, H, W, num_bins); their sum is 1.

    A Gaussian window divided by its sum over bins is a softmax of -(x - c)² / 2σ², where x² makes no difference.
    """
    value = ((image[:, 0] + 1) / 2).clamp(0, 1)
    centres = torch.linspace(0, 1, num_bins, dtype=image.dtype, device=image.device)
    sharpness = 2 * (num_bins - 1) ** 2  # 1 / 2σ², σ being half the distance of two bins
    weights = (sharpness * (2 * value[..., None] * centres - centres.square())).softmax(dim=-1)
    return functional.threshold(weights, SMALLEST_WEIGHT, 0.0)


def _joint(of_one: Tensor, of_other: Tensor) -> Tensor:
    """Weights of K pixels, (..., K, num_bins), to the joint distribution of the bins, (..., num_bins, num_bins)."""
    return of_one.mT @ of_other / of_one.shape[-2]


def _information(joint: Tensor) -> Tensor:
    """Mutual information of joint distributions, (..., num_bins, num_bins) to (...), in nats."""
    apart = joint.sum(dim=-1, keepdim=True) * joint.sum(dim=-2, keepdim=True)
    return (joint * ((joint + EPSILON).log() - (apart + EPSILON).log())).sum(dim=(-1, -2))


def _information_of_patches(of_one: Tensor, of_other: Tensor) -> Tensor:
    """Weights, (N, H, W, num_bins), to the mean over patches of their mutual information, (N,).

    A patch is four squares of half its side, each of which belongs to four patches: their distributions are computed
    once and averaged.
    """
    joint = _joint(_squares(of_one), _squares(of_other))
    joint = joint[:, 1:] + joint[:, :-1]
    joint = joint[:, :, 1:] + joint[:, :, :-1]
    return _information(joint / 4).mean(dim=(1, 2))


def _squares(weights: Tensor) -> Tensor:
    """(N, H, W, num_bins) to (N, H / 16, W / 16, 256, num_bins)."""
    side = PATCH_STRIDE
    return weights.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3).flatten(3, 4)


def _fit_patches(image: Tensor) -> Tensor:
    """(N, 1, H, W) to the same with larger sides: the outermost pixels go on until the last patch is full."""
    missing = [max(0, PATCH_SIDE - side) or (PATCH_SIDE - side) % PATCH_STRIDE for side in image.shape[-2:]]
    return functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")
