"""Losses that compare a generated image with a real one of the same contrast."""

from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from mri_cyclegan.losses.precision import full_precision

CYCLE_LOSSES = ("l1", "l1_ssim")

# Weight of SSIM in Zhao et al.
SSIM_SHARE = 0.84
SSIM_WINDOW_SIDE = 11  # Gaussian with sigma 1.5


def cycle_loss(cycled: Tensor, real: Tensor, kind: str) -> Tensor:
    """Difference between an image and its translation to the other contrast and back.

    Args:
        cycled: ``generator_ba(generator_ab(real))``, (B, C, H, W), in [-1, 1].
        real: (B, C, H, W), in [-1, 1].
        kind: ``"l1"``: mean absolute difference; ``"l1_ssim"``: 0.16 · that + 0.84 · (1 − SSIM), which detects blur
            and lost texture even if the mean absolute difference is small, and needs sides of at least 11 pixels.

    Returns:
        Scalar, in [0, 2].

    Raises:
        ValueError: ``kind`` is unknown, or the image is too small for it.

    Reference:
        Zhu et al., ICCV 2017, eq. 2 (l1); Zhao et al., "Loss functions for image restoration with neural networks",
        IEEE TCI 2017, "The best of both worlds: MS-SSIM + l1". They weight the l1 part by a Gaussian, use
        multi-scale SSIM, and scale images to [0, 1], where the l1 part counts half as much.
    """
    if kind == "l1":
        return functional.l1_loss(cycled, real)
    if kind == "l1_ssim":
        return (1 - SSIM_SHARE) * functional.l1_loss(cycled, real) + SSIM_SHARE * _structural_difference(cycled, real)
    raise ValueError(f"model.cycle_loss: expected one of {', '.join(CYCLE_LOSSES)}, got {kind!r}.")


def identity_loss(identity: Tensor, real: Tensor) -> Tensor:
    """Mean absolute change that a generator makes to an image already in its target contrast.

    Args:
        identity: ``generator(real)``, (B, C, H, W), in [-1, 1].
        real: image of the generator's target contrast, (B, C, H, W), in [-1, 1].

    Returns:
        Scalar, in [0, 2].

    Reference:
        Zhu et al., ICCV 2017, section 5.2, "Photo generation from paintings".
    """
    return functional.l1_loss(identity, real)


@full_precision
def _structural_difference(image: Tensor, real: Tensor) -> Tensor:
    """1 − SSIM, in [0, 2]; channels are slices and are compared separately."""
    if min(real.shape[-2:]) < SSIM_WINDOW_SIDE:
        raise ValueError(
            f"model.cycle_loss: l1_ssim expected sides of at least {SSIM_WINDOW_SIDE} pixels, "
            f"got {tuple(real.shape[-2:])}. Choose l1, or a larger data.image_size."
        )
    # SSIM compares means by their product, so intensities must start at 0 for black.
    similarity = structural_similarity_index_measure(image + 1, real + 1, data_range=2.0)
    assert isinstance(similarity, Tensor)
    return 1 - similarity
