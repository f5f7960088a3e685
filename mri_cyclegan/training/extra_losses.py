"""Generator losses beyond the reference recipe: each is a class here and a file in conf/extra_loss.

A new one needs no change to this package: ``_target_`` may name a class of your own, see ``docs/extending.md``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mri_cyclegan.losses.patch_nce import PatchNCE
from mri_cyclegan.losses.smoothness import smoothness_loss
from mri_cyclegan.losses.structure import STRUCTURE_LOSSES, structure_loss
from mri_cyclegan.training.argument_checks import require_decay, require_non_negative, require_one_of
from mri_cyclegan.training.generator_outputs import GeneratorOutputs
from mri_cyclegan.training.loss_weights import REFERENCE_LOSSES, decayed


class ExtraLoss(nn.Module):
    """Base class of a loss that is added to the generators' total loss with its own weight.

    Args:
        weight: weight in the total loss; 0 switches the loss off.
        decay: share of the epochs, in (0, 1], over which the weight falls linearly to 0; None for a constant weight.

    Attributes:
        needs_identity: whether :meth:`forward` uses the identity images, which are computed only if a loss needs them.
    """

    needs_identity = False

    def __init__(self, weight: float = 1.0, decay: float | None = None) -> None:
        super().__init__()
        self.weight, self.decay = weight, decay

    def prepare(self, generator_ab: nn.Module, generator_ba: nn.Module) -> None:
        """Build parts that depend on the generators; called once, when the CycleGAN is built, unless the weight is 0.

        Raises:
            ValueError: the loss cannot be computed with such generators.
        """

    def check_match(self, match: str) -> None:
        """Raise unless the loss works with a value of ``data.match``, how slices of b are matched to those of a.

        Raises:
            ValueError: the message names the keys.
        """

    def forward(
        self, outputs: GeneratorOutputs, real_a: Tensor, real_b: Tensor, generators: tuple[Any, Any]
    ) -> dict[str, Tensor]:
        """Unweighted terms of the loss, scalars by the name they are logged under.

        Args:
            outputs: of the generators for this batch.
            real_a: (B, C, H, W), in [-1, 1].
            real_b: (B, C, H, W), in [-1, 1].
            generators: ab and ba.
        """
        raise NotImplementedError

    def total(self, terms: Mapping[str, Tensor], weight: float) -> Any:
        """Weighted sum of the terms, a scalar.

        Args:
            terms: from :meth:`forward`.
            weight: weight in this epoch.
        """
        return sum(weight * term for term in terms.values())


class StructureLoss(ExtraLoss):
    """Preserves anatomy: compares each fake with its source by a measure that does not depend on contrast.

    Args:
        weight: see :class:`ExtraLoss`.
        decay: see :class:`ExtraLoss`.
        kind: see :func:`mri_cyclegan.losses.structure.structure_loss`.

    Raises:
        ValueError: the kind is unknown.
    """

    def __init__(self, weight: float = 1.0, decay: float | None = None, kind: str = "mind") -> None:
        super().__init__(weight, decay)
        require_one_of("extra_loss.structure.kind", kind, STRUCTURE_LOSSES)
        self.kind = kind

    def forward(
        self, outputs: GeneratorOutputs, real_a: Tensor, real_b: Tensor, generators: tuple[Any, Any]
    ) -> dict[str, Tensor]:
        """``structure_ab`` and ``structure_ba``."""
        return {
            "structure_ab": structure_loss(outputs.fake_b, real_a, self.kind),
            "structure_ba": structure_loss(outputs.fake_a, real_b, self.kind),
        }


class PairedLoss(ExtraLoss):
    """Mean absolute difference between a fake and the matched real image of the same contrast (``data.match``).

    With registration networks the fake is first registered to the real image, as in RegGAN, and the loss has a second
    term: the smoothness loss of the displacement.

    Args:
        weight: see :class:`ExtraLoss`.
        decay: see :class:`ExtraLoss`.
        registration_a: maps a fake and a real image of a, each (B, C, H, W), to the fake registered to the real one
            and the displacement, (B, 2, H, W); or None.
        registration_b: a separate network for b, or None.
        smoothness_weight: weight of the smoothness term; unused without registration networks.

    Raises:
        ValueError: only one registration network is given, or the loss with them has weight 0.

    Reference:
        Kong et al., "Breaking the dilemma of medical image-to-image translation", NeurIPS 2021, section 3.
    """

    def __init__(
        self,
        weight: float = 1.0,
        decay: float | None = None,
        registration_a: nn.Module | None = None,
        registration_b: nn.Module | None = None,
        smoothness_weight: float = 10.0,
    ) -> None:
        super().__init__(weight, decay)
        require_non_negative("extra_loss.paired.smoothness_weight", smoothness_weight)
        networks = [network for network in (registration_a, registration_b) if network is not None]
        if any(not isinstance(network, nn.Module) for network in networks):
            raise ValueError(
                "extra_loss.paired.registration_a, registration_b: expected networks. Write "
                "+registration@extra_loss.paired.registration_a=unet and the same for registration_b."
            )
        if networks and not (len(networks) == 2 and weight):
            raise ValueError(
                "extra_loss.paired.registration_a, registration_b: they move fakes onto the real images that "
                "this loss compares them with. Give both networks and a weight, or neither."
            )
        self.registration_a, self.registration_b = registration_a, registration_b
        self.smoothness_weight = smoothness_weight

    def check_match(self, match: str) -> None:
        """Raise unless b shows the same subject; with registration networks, or the same height of another one."""
        # The same height is close enough for registration, not for a pixelwise comparison.
        if match == "none" or (match == "position" and self.registration_a is None):
            raise ValueError(
                f"extra_loss.paired.weight={self.weight} compares each fake with the real image beside it, and "
                f"data.match={match} puts another head there. Set data.match=subject for people scanned in both "
                "contrasts (and data.allow_paired_subjects=true), or extra_loss.paired.weight=0."
            )

    def forward(
        self, outputs: GeneratorOutputs, real_a: Tensor, real_b: Tensor, generators: tuple[Any, Any]
    ) -> dict[str, Tensor]:
        """``paired_a`` and ``paired_b``; with registration networks also ``smoothness_a`` and ``smoothness_b``."""
        return {
            **self._compare("a", self.registration_a, outputs.fake_a, real_a),
            **self._compare("b", self.registration_b, outputs.fake_b, real_b),
        }

    @staticmethod
    def _compare(contrast: str, registration: nn.Module | None, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        if registration is None:
            return {f"paired_{contrast}": functional.l1_loss(fake, real)}
        moved, displacement = registration(fake, real)
        return {
            f"paired_{contrast}": functional.l1_loss(moved, real),
            f"smoothness_{contrast}": smoothness_loss(displacement),
        }

    def total(self, terms: Mapping[str, Tensor], weight: float) -> Any:
        """Weighted sum; smoothness has its own weight, which does not decay."""
        weights = {"paired": weight, "smoothness": self.smoothness_weight}
        return sum(weights[name.removesuffix("_a").removesuffix("_b")] * term for name, term in terms.items())


class PatchNCELoss(ExtraLoss):
    """Contrastive loss that matches each patch of a fake or identity image to its source patch at the same position.

    It compares features of the generator's own encoder, see :class:`mri_cyclegan.losses.patch_nce.PatchNCE`.

    Args:
        weight: see :class:`ExtraLoss`.
        decay: see :class:`ExtraLoss`.
        num_patches: positions compared in each layer.

    Reference:
        Park et al., "Contrastive learning for unpaired image-to-image translation", ECCV 2020, section 3.
    """

    needs_identity = True

    def __init__(self, weight: float = 1.0, decay: float | None = None, num_patches: int = 256) -> None:
        super().__init__(weight, decay)
        self.num_patches = num_patches

    def prepare(self, generator_ab: nn.Module, generator_ba: nn.Module) -> None:
        """Build the layers that project the generators' features."""
        self.ab, self.ba = (self._projection(generator) for generator in (generator_ab, generator_ba))

    def _projection(self, generator: nn.Module) -> PatchNCE:
        channels = getattr(generator, "feature_channels", None)
        if channels is None:
            raise ValueError(
                f"extra_loss.nce: {type(generator).__name__} has no features of its encoder to compare. "
                "Take generator=resnet or generator=unet, or set extra_loss.nce.weight=0."
            )
        return PatchNCE(channels, self.num_patches)

    def forward(
        self, outputs: GeneratorOutputs, real_a: Tensor, real_b: Tensor, generators: tuple[Any, Any]
    ) -> dict[str, Tensor]:
        """``nce_ab`` and ``nce_ba``."""
        generated_ab, sources_ab = torch.cat([outputs.fake_b, outputs.identity_b]), torch.cat([real_a, real_b])
        generated_ba, sources_ba = torch.cat([outputs.fake_a, outputs.identity_a]), torch.cat([real_b, real_a])
        return {
            "nce_ab": self._contrast(self.ab, generators[0], generated_ab, sources_ab),
            "nce_ba": self._contrast(self.ba, generators[1], generated_ba, sources_ba),
        }

    @staticmethod
    def _contrast(projection: PatchNCE, generator: Any, generated: Tensor, sources: Tensor) -> Tensor:
        with torch.no_grad():
            source_features = generator.features(sources)
        return projection(generator.features(generated), source_features)


class ExtraLosses(nn.ModuleDict):
    """The extra losses of a run; those with weight 0 are left out.

    Args:
        losses: losses by name; an entry that is None is ignored.
        generator_ab: see :meth:`ExtraLoss.prepare`.
        generator_ba: see :meth:`ExtraLoss.prepare`.

    Raises:
        ValueError: an entry is not an extra loss, or a weight or decay is out of range; the message names its key.
    """

    def __init__(
        self, losses: Mapping[str, ExtraLoss | None], generator_ab: nn.Module, generator_ba: nn.Module
    ) -> None:
        super().__init__()
        for name, loss in losses.items():
            if loss is None:
                continue
            if not isinstance(loss, ExtraLoss):
                raise ValueError(
                    f"extra_loss.{name}: expected a subclass of mri_cyclegan.training.extra_losses.ExtraLoss under "
                    f"_target_, or null for none; got {type(loss).__name__}."
                )
            if name in REFERENCE_LOSSES:
                raise ValueError(f"extra_loss.{name}: {name} is a loss of the reference recipe. Take another name.")
            require_non_negative(f"extra_loss.{name}.weight", loss.weight)
            require_decay(f"extra_loss.{name}.decay", loss.decay)
            if loss.weight:
                loss.prepare(generator_ab, generator_ba)
                self[name] = loss

    def weights_at(self, epoch: int, num_epochs: int) -> dict[str, float]:
        """Weight of each loss in an epoch (0-based)."""
        return {name: decayed(loss.weight, loss.decay, epoch, num_epochs) for name, loss in self._losses()}

    def need_identity(self, weights: Mapping[str, float]) -> bool:
        """Whether any loss with a non-zero weight needs the identity images."""
        return any(loss.needs_identity for name, loss in self._losses() if weights[name])

    def forward(
        self,
        outputs: GeneratorOutputs,
        real_a: Tensor,
        real_b: Tensor,
        generators: tuple[Any, Any],
        weights: Mapping[str, float],
    ) -> tuple[dict[str, Tensor], Any]:
        """Unweighted terms of all losses by name, and their weighted sum; see :meth:`ExtraLoss.forward`.

        Args:
            outputs: of the generators for this batch.
            real_a: (B, C, H, W), in [-1, 1].
            real_b: (B, C, H, W), in [-1, 1].
            generators: ab and ba.
            weights: weights of all losses in this epoch.
        """
        terms: dict[str, Tensor] = {}
        total: Any = 0
        for name, loss in self._losses():
            if weights[name]:
                new = loss(outputs, real_a, real_b, generators)
                terms |= new
                total = total + loss.total(new, weights[name])
        return terms, total

    def _losses(self) -> list[tuple[str, Any]]:
        return list(self.items())
