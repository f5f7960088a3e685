"""Correlation of the edges of two images, regardless of edge sign."""

import torch
from torch import Tensor
from torch.nn import functional

# Edge threshold η²: a share of the image's mean squared gradient, plus a floor for constant images.
EDGE_SHARE = 0.1
EDGE_FLOOR = 1e-5

# Gives two images without any edge a loss of 0.
TINY = 1e-6


def gradient_correlation_loss(fake: Tensor, source: Tensor) -> Tensor:
    """Disagreement between the edges of two images of different contrasts.

    Between T1w and T2w the edges of cerebrospinal fluid and white matter change sign, while the edge between skin and
    air does not. In a correlation of the gradients over the whole image these contributions cancel, whether or not its
    absolute value is taken. Here each pixel's gradient g becomes sign-free as the normalized tensor
    g gᵀ / (|g|² + η²); the inner product of two such tensors is the squared product of two normalized gradients.
    With E(f, s) the sum of these products over pixels, the loss is 1 − 2 E(f, s) / (E(f, f) + E(s, s)). Both edges of
    the source that the fake lacks and edges that the fake adds raise it.

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
        image: (N, 1, H, W); padded by replicating its border.

    Returns:
        (N, 3, H, W): the entries yy, xx and √2 · xy of the symmetric tensor g gᵀ / (|g|² + η²), so that channel-wise
        sums of products equal inner products of the tensors. η² is a tenth of the image's mean |g|².
    """
    sobel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=image.dtype, device=image.device) / 8
    padded = functional.pad(image, [1] * 4, mode="replicate")
    y, x = functional.conv2d(padded, torch.stack([sobel, sobel.T])[:, None]).split(1, dim=1)
    strength = y.square() + x.square()
    eta_squared = EDGE_SHARE * strength.mean(dim=(2, 3), keepdim=True) + EDGE_FLOOR
    return torch.cat([y.square(), x.square(), 2**0.5 * x * y], dim=1) / (strength + eta_squared)
