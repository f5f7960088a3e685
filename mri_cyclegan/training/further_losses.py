"""What the generators may be asked for beyond the method's document."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mri_cyclegan.losses.patch_nce import PatchNCE
from mri_cyclegan.losses.smoothness import smoothness_loss
from mri_cyclegan.losses.structure import STRUCTURE_LOSSES, structure_loss
from mri_cyclegan.training.generator_outputs import GeneratorOutputs


class FurtherLosses(nn.Module):
    """Losses of the generators that the nine steps do not have; each is left out where its weight is 0.

    - ``structure_ab``, ``structure_ba``: anatomy of the fake against that of its source, see
      :func:`mri_cyclegan.losses.structure.structure_loss`.
    - ``nce_ab``, ``nce_ba``: patches of the fake against the same places of its source in the features of the
      generator's own encoder, see :class:`mri_cyclegan.losses.patch_nce.PatchNCE`; and the identity image likewise.
    - ``paired_a``, ``paired_b``: mean absolute difference between the fake and the real image of its contrast in the
      batch, which ``data.match`` makes the same head; ``smoothness_a``, ``smoothness_b``: of the deformation that
      takes the one to the other, where there is a registration network.

    Args:
        generator_ab: asked for its features only.
        generator_ba: likewise.
        kind: of structure loss.
        nce_num_patches: places compared in each layer; None for no contrastive loss.
        registration_a: fake and real image of a, each (B, C, H, W), to the fake moved onto the real one and the
            displacement, (B, 2, H, W); or None.
        registration_b: likewise, another network.

    Raises:
        ValueError: the kind is unknown, or a generator has no features to compare.

    Reference:
        Park et al., "Contrastive learning for unpaired image-to-image translation", ECCV 2020, section 3 (patches);
        Kong et al., "Breaking the dilemma of medical image-to-image translation", NeurIPS 2021, section 3
        (registration).
    """

    def __init__(
        self,
        generator_ab: nn.Module,
        generator_ba: nn.Module,
        kind: str,
        nce_num_patches: int | None,
        registration_a: nn.Module | None,
        registration_b: nn.Module | None,
    ) -> None:
        super().__init__()
        if kind not in STRUCTURE_LOSSES:
            raise ValueError(f"model.structure_loss: expected one of {', '.join(STRUCTURE_LOSSES)}, got {kind!r}.")
        self.kind = kind
        self.registration_a, self.registration_b = registration_a, registration_b
        self.nce_ab = None if nce_num_patches is None else _patch_nce(generator_ab, nce_num_patches)
        self.nce_ba = None if nce_num_patches is None else _patch_nce(generator_ba, nce_num_patches)

    def forward(
        self,
        real_a: Tensor,
        real_b: Tensor,
        generated: GeneratorOutputs,
        generators: tuple[nn.Module, nn.Module],
        weights: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """Losses with a weight, by name.

        Args:
            real_a: (B, C, H, W), in [-1, 1].
            real_b: likewise.
            generated: what the generators made of them.
            generators: ab and ba.
            weights: of ``structure``, ``nce``, ``paired``, ``smoothness``.

        Returns:
            Scalars, not weighted.
        """
        losses: dict[str, Tensor] = {}
        if weights["structure"]:
            losses["structure_ab"] = structure_loss(generated.fake_b, real_a, self.kind)
            losses["structure_ba"] = structure_loss(generated.fake_a, real_b, self.kind)
        if weights["nce"] and self.nce_ab is not None and self.nce_ba is not None:
            of_ab = (torch.cat([generated.fake_b, generated.identity_b]), torch.cat([real_a, real_b]))
            of_ba = (torch.cat([generated.fake_a, generated.identity_a]), torch.cat([real_b, real_a]))
            losses["nce_ab"] = _contrast(self.nce_ab, generators[0], *of_ab)
            losses["nce_ba"] = _contrast(self.nce_ba, generators[1], *of_ba)
        if weights["paired"]:
            losses |= _paired("a", self.registration_a, generated.fake_a, real_a)
            losses |= _paired("b", self.registration_b, generated.fake_b, real_b)
        return losses


def _patch_nce(generator: nn.Module, num_patches: int) -> PatchNCE:
    channels = getattr(generator, "feature_channels", None)
    if channels is None:
        raise ValueError(
            f"model.lambda_nce: {type(generator).__name__} has no features of its encoder to compare. "
            "Take generator=resnet or generator=unet, or set model.lambda_nce=0."
        )
    return PatchNCE(channels, num_patches)


def _contrast(nce: PatchNCE, generator: Any, outputs: Tensor, sources: Tensor) -> Tensor:
    with torch.no_grad():
        of_sources = generator.features(sources)
    return nce(generator.features(outputs), of_sources)


def _paired(contrast: str, registration: nn.Module | None, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    if registration is None:
        return {f"paired_{contrast}": functional.l1_loss(fake, real)}
    moved, displacement = registration(fake, real)
    return {
        f"paired_{contrast}": functional.l1_loss(moved, real),
        f"smoothness_{contrast}": smoothness_loss(displacement),
    }
