"""The training step written exactly as the reference recipe, as a baseline for ours."""

import copy
import random
from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.losses import GlobalMutualInformationLoss
from torch import Tensor
from torch.nn import functional

from mri_cyclegan.losses.structure import structure_loss


class NaiveStep:
    """The nine steps with each pass computed separately, in float32, without any of our optimizations.

    It computes the same losses with the same weights: least squares, the mean absolute difference for cycle and
    identity, and a structure loss if there is one. As in our step, losses with weight 0 are not computed.

    Args:
        model: CycleGAN whose networks, loss weights, learning rates, betas and pool sizes are used.
        device: device to compute on.

    Raises:
        ValueError: the model has a setting that is not supported here.

    Reference:
        Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017.
    """

    def __init__(self, model: Any, device: torch.device) -> None:
        _require_naive(model)
        networks = (model.generator_ab, model.generator_ba, model.discriminator_a, model.discriminator_b)
        copies = [copy.deepcopy(network).to(device) for network in networks]
        self.generator_ab, self.generator_ba, self.discriminator_a, self.discriminator_b = copies
        self.weights: Mapping[str, float] = {"structure": 0.0, **model.loss_weights.initial} | {
            name: loss.weight for name, loss in model.extra_losses.items()
        }
        kind = model.extra_losses["structure"].kind if self.weights["structure"] else "mind"
        self.structure = plain_structure_loss(kind)
        rates, betas = model.optimization.learning_rates, model.optimization.betas
        self.optimizers = [
            torch.optim.Adam([*one.parameters(), *other.parameters()], lr=rate, betas=betas)
            for (one, other), rate in zip((copies[:2], copies[2:]), rates, strict=True)
        ]
        self.pools = PlainPool(model.pool_a.size), PlainPool(model.pool_b.size)

    def __call__(self, real_a: Tensor, real_b: Tensor) -> None:
        """Train on one batch, each tensor (B, C, H, W)."""
        fake_b, fake_a = self.generator_ab(real_a), self.generator_ba(real_b)
        loss = self._generators_loss(real_a, real_b, fake_a, fake_b)
        for_generators, for_discriminators = self.optimizers
        for_generators.zero_grad()
        loss.backward()
        self._require_grad(True)
        for_generators.step()
        for_discriminators.zero_grad()
        pairs = ((self.discriminator_a, real_a, fake_a, 0), (self.discriminator_b, real_b, fake_b, 1))
        for discriminator, real, fake, number in pairs:
            on_real, on_fake = discriminator(real), discriminator(self.pools[number](fake.detach()))
            (0.5 * (functional.mse_loss(on_real, torch.ones_like(on_real)) + on_fake.square().mean())).backward()
        for_discriminators.step()

    def _generators_loss(self, real_a: Tensor, real_b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Tensor:
        self._require_grad(False)
        weights = self.weights
        loss = torch.zeros((), device=real_a.device)
        for discriminator, fake in ((self.discriminator_b, fake_b), (self.discriminator_a, fake_a)):
            judged = discriminator(fake)
            loss = loss + weights["adversarial"] * functional.mse_loss(judged, torch.ones_like(judged))
        if weights["cycle"]:
            cycled_a, cycled_b = self.generator_ba(fake_b), self.generator_ab(fake_a)
            cycles = functional.l1_loss(cycled_a, real_a) + functional.l1_loss(cycled_b, real_b)
            loss = loss + weights["cycle"] * cycles
        if weights["identity"]:
            identity_b, identity_a = self.generator_ab(real_b), self.generator_ba(real_a)
            identities = functional.l1_loss(identity_b, real_b) + functional.l1_loss(identity_a, real_a)
            loss = loss + weights["identity"] * identities
        if weights["structure"]:
            structures = self.structure(fake_b, real_a) + self.structure(fake_a, real_b)
            loss = loss + weights["structure"] * structures
        return loss

    def _require_grad(self, wanted: bool) -> None:
        for discriminator in (self.discriminator_a, self.discriminator_b):
            discriminator.requires_grad_(wanted)


class PlainPool:
    """The image pool as a plain list.

    Args:
        size: maximum number of images kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def __call__(self, fakes: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; each image is new or from the pool."""
        shown = []
        for fake in fakes:
            if len(self.images) < self.size:
                self.images.append(fake)
            elif self.size and random.random() < 0.5:
                position = random.randrange(self.size)
                self.images[position], fake = fake, self.images[position]
            shown.append(fake)
        return torch.stack(shown)


def plain_structure_loss(kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A structure loss assembled from a library; ours for kinds that the library lacks."""
    if kind == "local_mutual_information":
        return lambda fake, source: _mutual_information_loss(_patches(fake), _patches(source), 16)
    if kind == "mutual_information":
        return lambda fake, source: _mutual_information_loss(fake, source, 23)
    return lambda fake, source: structure_loss(fake, source, kind)


def _mutual_information_loss(fake: Tensor, source: Tensor, num_bins: int) -> Tensor:
    information = GlobalMutualInformationLoss(num_bins=num_bins).to(fake.device)
    with torch.no_grad():
        everything = information((source + 1) / 2, (source + 1) / 2)
    return 1 - information((fake + 1) / 2, (source + 1) / 2) / everything.clamp(max=-0.01)


def _patches(image: Tensor) -> Tensor:
    """(B, 1, H, W) to half-overlapping patches, (N, 1, 32, 32)."""
    return functional.unfold(image, 32, stride=16).transpose(1, 2).reshape(-1, 1, 32, 32)


def _require_naive(model: Any) -> None:
    wanted = {"adversarial_loss": "lsgan", "cycle_loss": "l1", "gradient_penalty": None, "cycle_noise": 0.0}
    for name, value in wanted.items():
        if getattr(model, name) != value:
            raise ValueError(
                f"train.overrides: the naive step has no model.{name}={getattr(model, name)}; "
                f"leave it out, or take an experiment with {value}."
            )
    mechanics = {"accumulate_batches": 1, "num_discriminator_steps": 1, "clip_gradients": None}
    for name, value in mechanics.items():
        if getattr(model.optimization, name) != value:
            raise ValueError(f"train.overrides: the naive step has no optimization.{name}. Leave it out.")
    for name in model.extra_losses:
        if name != "structure":
            raise ValueError(f"train.overrides: the naive step has no extra_loss.{name}. Set its weight to 0.")
