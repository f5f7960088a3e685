"""Losses that compare a generated image with a real one of the same contrast."""

from torch import Tensor
from torch.nn import functional


def cycle_loss(cycled: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference after the way there and back.

    Args:
        cycled: ``generator_ba(generator_ab(real))``, (B, C, H, W), in [-1, 1].
        real: (B, C, H, W), in [-1, 1].

    Returns:
        Scalar, in [0, 2].

    Reference:
        Zhu et al., ICCV 2017, eq. 2.
    """
    return functional.l1_loss(cycled, real)


def identity_loss(identity: Tensor, real: Tensor) -> Tensor:
    """Mean absolute change a generator makes to an image already in its target contrast.

    Args:
        identity: ``generator(real)``, (B, C, H, W), in [-1, 1].
        real: image of the generator's target contrast, (B, C, H, W), in [-1, 1].

    Returns:
        Scalar, in [0, 2].

    Reference:
        Zhu et al., ICCV 2017, section 5.2, "Photo generation from paintings".
    """
    return functional.l1_loss(identity, real)
