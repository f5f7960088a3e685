"""How little one image tells about another."""

import torch
from monai.losses import GlobalMutualInformationLoss
from torch import Tensor
from torch.nn import functional

NUM_BINS = 23
LOCAL_NUM_BINS = 16  # a patch has fewer pixels to fill them

PATCH_SIDE = 32
PATCH_STRIDE = 16

# In nats: the information of a source below which it is taken as flat.
FLAT = 0.01


def mutual_information_loss(fake: Tensor, source: Tensor, num_bins: int = NUM_BINS) -> Tensor:
    """One minus the share of the source's information that the fake holds.

    The share is Σ I(fake; source) / Σ I(source; source), with sums over the images, I being MONAI's mutual information
    from Gaussian Parzen windows. By the division a loss of 0 means the same for any source and number of bins; an
    image or a patch counts by what there is to know about it, a flat one not at all.

    Args:
        fake: (N, 1, H, W), in [-1, 1]. MONAI expects [0, 1] and clamps: (fake + 1) / 2 is what it gets.
        source: likewise, of another contrast.
        num_bins: intensities between which it tells apart.

    Returns:
        Scalar, about 1 for a flat fake or a flat source; about 0 if fake and source determine each other. Somewhat
        below 0 if, besides, the fake spreads its intensities wider than the source, which the windows blur less.

    Reference:
        Viola and Wells, "Alignment by maximization of mutual information", IJCV 1997; Guo, "Multi-modality image
        registration using deep learning", MIT 2019, section 3.1, eq. 3.1 to 3.5.
    """
    with fake.device:
        negative_information = GlobalMutualInformationLoss(num_bins=num_bins)
    fake, source = (fake + 1) / 2, (source + 1) / 2
    with torch.no_grad():
        everything = -negative_information(source, source)
    return 1 + negative_information(fake, source) / everything.clamp(min=FLAT)


def local_mutual_information_loss(fake: Tensor, source: Tensor) -> Tensor:
    """As :func:`mutual_information_loss`, in half-overlapping patches of 32×32 pixels, with 16 bins.

    What an intensity means may then change from place to place: by a bias field, or from one tissue to another.

    Args:
        fake: (N, 1, H, W), in [-1, 1].
        source: likewise, of another contrast.

    Returns:
        As :func:`mutual_information_loss`; the sums go over patches.

    Reference:
        Studholme et al., "Deformation-based mapping of volume change from serial brain MRI in the presence of local
        tissue contrast change", IEEE TMI 2006 (regional mutual information).
    """
    return mutual_information_loss(_patches(fake), _patches(source), LOCAL_NUM_BINS)


def _patches(image: Tensor) -> Tensor:
    """(N, 1, H, W) to (N · patches, 1, 32, 32); the outermost pixels go on until the last patch is full."""
    missing = [max(0, PATCH_SIDE - side) or (PATCH_SIDE - side) % PATCH_STRIDE for side in image.shape[-2:]]
    padded = functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")
    columns = functional.unfold(padded, PATCH_SIDE, stride=PATCH_STRIDE)
    return columns.transpose(1, 2).reshape(-1, 1, PATCH_SIDE, PATCH_SIDE)
