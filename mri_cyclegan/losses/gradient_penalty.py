"""Penalties on the gradient of a discriminator's output with respect to its input image."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mri_cyclegan.losses.precision import full_precision

GRADIENT_PENALTIES = ("interpolated", "zero_centered")


@full_precision
def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, kind: str) -> Tensor:
    """How far the gradient norm of a discriminator is from its target.

    The gradient is that of D(x) with respect to all pixels of an image. With ``"interpolated"`` D(x) is the mean of an
    image's patch logits, which is what the adversarial loss uses and what should have a gradient norm of 1; with
    ``"zero_centered"`` it is their sum, since each patch should have zero gradient, however many there are.

    Both penalties assume a discriminator that scores each image independently: with ``discriminator.minibatch_stdev``
    the gradient also contains the effect of an image on the logits of other images in the batch. ``"zero_centered"`` is
    often computed every 16th batch only, with 16 times the weight.

    Args:
        discriminator: (B, C, H, W) to patch logits, (B, …); its weights in float32 or float64.
        real: (B, C, H, W), in [-1, 1].
        fake: (B, C, H, W), in [-1, 1]; not used by ``"zero_centered"``.
        kind: ``"interpolated"``: (‖∇D‖ − 1)² at one random mix of each real image with its fake, for ``"wgan"``;
            ``"zero_centered"``: ‖∇D‖² at the real images, which lets the discriminator settle once the fakes match
            the real images.

    Returns:
        Scalar mean over the batch, at least 0; gradients flow to the discriminator's weights, not to the images.

    Raises:
        ValueError: ``kind`` is unknown.

    Reference:
        Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, eq. 3 (interpolated); Mescheder et
        al., "Which training methods for GANs do actually converge?", ICML 2018, eq. 9 (R1, there with a factor of one
        half); Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, section 3.1 (lazy).
    """
    if kind == "interpolated":
        share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
        slope = _input_gradient(
            lambda image: discriminator(image).flatten(1).mean(dim=1), share * real + (1 - share) * fake
        )
        # Unlike the square root of a sum of squares, vector_norm has a finite gradient at 0.
        return (torch.linalg.vector_norm(slope, dim=1) - 1).square().mean()
    if kind == "zero_centered":
        return _input_gradient(discriminator, real).square().sum(dim=1).mean()
    raise ValueError(f"model.gradient_penalty: expected null or one of {', '.join(GRADIENT_PENALTIES)}, got {kind!r}.")


def _input_gradient(score: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Gradient of the summed output with respect to each image's pixels, (B, C · H · W), itself differentiable."""
    image = image.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(image).sum(), image, create_graph=True)
    return slope.flatten(1)
