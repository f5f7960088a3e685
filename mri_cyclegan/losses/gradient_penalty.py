"""Penalties on how steeply a discriminator's judgement changes with its image."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mri_cyclegan.losses.precision import full_precision

GRADIENT_PENALTIES = ("interpolated", "zero_centred")


@full_precision
def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, kind: str) -> Tensor:
    """How far the slope of a discriminator is from the wanted one.

    The slope is that of D(x), over all pixels of an image. With ``"interpolated"`` D(x) is the mean of an image's
    patch logits, since this is what the adversarial loss looks at, and what should have a slope of one; with
    ``"zero_centred"`` their sum, since each patch should be flat, however many there are.

    Both penalties need a discriminator that judges each image alone: with ``discriminator.minibatch_stdev`` the
    slope also holds what an image does to the logits of its batch neighbours. ``"zero_centred"`` is often computed
    in every 16th batch only, with 16 times the weight.

    Args:
        discriminator: (B, C, H, W) to patch logits, (B, …); its weights in float32 or float64.
        real: (B, C, H, W), in [-1, 1].
        fake: (B, C, H, W), in [-1, 1]; ``"zero_centred"`` does not look at it.
        kind: ``"interpolated"``: (‖∇D‖ − 1)² at one random mix of each real image with its fake, for ``"wgan"``;
            ``"zero_centred"``: ‖∇D‖² at the real images, which leaves a discriminator at rest once the fakes are
            like the reals.

    Returns:
        Scalar mean over the batch, at least 0; its gradient reaches the discriminator's weights, not the images.

    Raises:
        ValueError: ``kind`` is unknown.

    Reference:
        Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, eq. 3 (interpolated); Mescheder et
        al., "Which training methods for GANs do actually converge?", ICML 2018, eq. 9 (R1, there with a factor of one
        half); Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, section 3.1 (lazy).
    """
    if kind == "interpolated":
        share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
        slope = _slope(lambda image: discriminator(image).flatten(1).mean(dim=1), share * real + (1 - share) * fake)
        # Unlike a root of a sum of squares, the norm has a finite gradient where the slope is 0.
        return (torch.linalg.vector_norm(slope, dim=1) - 1).square().mean()
    if kind == "zero_centred":
        return _slope(discriminator, real).square().sum(dim=1).mean()
    raise ValueError(f"model.gradient_penalty: expected null or one of {', '.join(GRADIENT_PENALTIES)}, got {kind!r}.")


def _slope(judge: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Gradient of the sum of each image's judgements in its own pixels, (B, C · H · W), as a part of the graph."""
    image = image.detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(image).sum(), image, create_graph=True)
    return slope.flatten(1)
