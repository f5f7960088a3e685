"""Correlation of two images' edges, whatever the sign of each."""

import torch
from torch import Tensor
from torch.nn import functional

# Edges count from here on: a share of the image's mean squared gradient, and a floor for an image of one value only.
EDGE_SHARE = 0.1
EDGE_FLOOR = 1e-5

# Keeps two images without any edge at a loss of 0.
TINY = 1e-6


def gradient_correlation_loss(fake: Tensor, source: Tensor) -> Tensor:
    """How little the edges of two images of different contrasts have in common.

    Between T1w and T2w the borders of cerebrospinal fluid and of white matter change their sign, the one of skin and
    air does not. One correlation of the gradients over the image, and so its absolute value, adds up contributions
    that cancel. Here each pixel's gradient g is made sign-free by itself, as the normalized tensor
    g gᵀ / (|g|² + η²); its product with another such tensor is the squared product of two normalized gradients.
    With E = the sum of products of the tensors of two images, the loss is 1 − 2 E(f, s) / (E(f, f) + E(s, s)). It
    grows by edges of the source that the fake lacks, and by edges the fake has invented.

    Args:
        fake: (N, 1, H, W).
        source: (N, 1, H, W), of another contrast.

    Returns:
        Scalar mean over N, in [0, 1]: 0 if all edges agree or there are none, 1 if only one image has edges.

    Reference:
        Penney et al., "A comparison of similarity measures for use in 2-D-3-D medical image registration", IEEE TMI
        1998 (gradient correlation); Hiasa et al., "Cross-modality image synthesis from unpaired data using CycleGAN",
        SASHIMI 2018 (gradient-consistency loss); Haber and Modersitzki, "Intensity gradient based registration and
        fusion of multi-modal images", MICCAI 2006 (normalized gradient fields).
    """
    fake_edges, source_edges = edge_tensors(fake), edge_tensors(source)
    difference = (fake_edges - source_edges).square().mean(dim=(1, 2, 3))
    energy = fake_edges.square().mean(dim=(1, 2, 3)) + source_edges.square().mean(dim=(1, 2, 3))
    # |f − s|² / (|f|² + |s|²) is the formula above.
    return (difference / (energy + TINY)).mean()


def edge_tensors(image: Tensor) -> Tensor:
    """Direction and strength of the edge at each pixel, from 3×3 Sobel gradients in units of intensity per pixel.

    Args:
        image: (N, 1, H, W); beyond the border it goes on with its outermost pixels.

    Returns:
        (N, 3, H, W): of the symmetric g gᵀ / (|g|² + η²) the entries yy, xx and √2 · xy, so that sums of products
        are those of the tensors. η² is a tenth of the image's mean |g|².
    """
    sobel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=image.dtype, device=image.device) / 8
    padded = functional.pad(image, [1] * 4, mode="replicate")
    y, x = functional.conv2d(padded, torch.stack([sobel, sobel.T])[:, None]).split(1, dim=1)
    strength = y.square() + x.square()
    eta_squared = EDGE_SHARE * strength.mean(dim=(2, 3), keepdim=True) + EDGE_FLOOR
    return torch.cat([y.square(), x.square(), 2**0.5 * x * y], dim=1) / (strength + eta_squared)
