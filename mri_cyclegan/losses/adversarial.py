"""Adversarial losses of generators and discriminators on patch logits."""

from torch import Tensor
from torch.nn import functional

ADVERSARIAL_LOSSES = ("lsgan", "bce", "hinge", "wgan")


def generator_adversarial_loss(fake_logits: Tensor, kind: str) -> Tensor:
    """Adversarial loss of a generator: low if the discriminator takes its fakes for real.

    Args:
        fake_logits: discriminator output on fakes, any shape.
        kind: ``"lsgan"``: (D − 1)²; ``"bce"``: −log σ(D); ``"hinge"`` and ``"wgan"``: −D.

    Returns:
        Scalar mean over all patches; at least 0 for ``"lsgan"`` and ``"bce"``, any value for the others.

    Raises:
        ValueError: ``kind`` is unknown.

    Reference:
        Mao et al., ICCV 2017, eq. 9 with b = c = 1 (least squares); Goodfellow et al., NeurIPS 2014, section 3
        (non-saturating cross-entropy); Lim and Ye, "Geometric GAN", 2017 (hinge);
        Arjovsky et al., "Wasserstein generative adversarial networks", ICML 2017, section 3 (wgan).
    """
    if kind == "lsgan":
        return (fake_logits - 1).square().mean()
    if kind == "bce":
        return functional.softplus(-fake_logits).mean()
    if kind in ("hinge", "wgan"):
        return -fake_logits.mean()
    raise _unknown(kind)


def discriminator_adversarial_loss(real_logits: Tensor, fake_logits: Tensor, kind: str) -> Tensor:
    """Adversarial loss of a discriminator: the mean of its losses on real images and on fakes.

    The factor one half slows the discriminator relative to the generators, as in the CycleGAN paper, section 4.

    Args:
        real_logits: discriminator output on real images, any shape.
        fake_logits: discriminator output on fakes, any shape.
        kind: ``"lsgan"``: (D(real) − 1)² and D(fake)²; ``"bce"``: cross-entropy on logits;
            ``"hinge"``: max(0, 1 − D(real)) and max(0, 1 + D(fake)); ``"wgan"``: −D(real) and D(fake), unbounded
            below unless the discriminator's gradient is bounded, see :mod:`mri_cyclegan.losses.gradient_penalty`.

    Returns:
        Scalar, at least 0; for ``"wgan"`` any value: minus half the distance that the discriminator estimates.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    if kind == "lsgan":
        real, fake = (real_logits - 1).square().mean(), fake_logits.square().mean()
    elif kind == "bce":
        real, fake = functional.softplus(-real_logits).mean(), functional.softplus(fake_logits).mean()
    elif kind == "hinge":
        real, fake = functional.relu(1 - real_logits).mean(), functional.relu(1 + fake_logits).mean()
    elif kind == "wgan":
        real, fake = -real_logits.mean(), fake_logits.mean()
    else:
        raise _unknown(kind)
    return 0.5 * (real + fake)


def _unknown(kind: str) -> ValueError:
    return ValueError(f"model.adversarial_loss: expected one of {', '.join(ADVERSARIAL_LOSSES)}, got {kind!r}.")
