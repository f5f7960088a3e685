"""Optimizers of a CycleGAN: Adam, learning rates, gradient accumulation and clipping, moving averages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mri_cyclegan.training.ema import AveragedNetwork
from mri_cyclegan.training.lr_schedule import constant_then_falling


@dataclass(frozen=True)
class Optimization:
    """Optimizer settings, and the operations that depend on them.

    "Side" means the two generators or the two discriminators; each side has one optimizer.

    Attributes:
        learning_rate_generators: of Adam.
        learning_rate_discriminators: of Adam; if it differs from the generators', training has two time scales (Heusel
            et al., "GANs trained by a two time-scale update rule", NeurIPS 2017).
        beta1: decay of Adam's running mean of gradients.
        schedule: how the learning rates fall, see :func:`mri_cyclegan.training.lr_schedule.constant_then_falling`.
        constant_share: share of the epochs at the full learning rates, see there.
        clip_gradients: maximum norm of all gradients of one optimizer together; None for no clipping.
        skip_non_finite: skip a side's optimizer step if its loss or a gradient is not finite.
        accumulate_batches: batches whose gradients are averaged for one optimizer step. With instance normalization
            this equals one larger batch; if the last group of an epoch has fewer batches, its gradient is smaller.
        num_discriminator_steps: n discriminator updates for each generator update; the generators then learn from
            every n-th batch (or group of accumulated batches) only.
        ema_decay: of the generators' moving averages, which are validated, saved and used for sample pictures; None
            for no averages.
        ema_warmup: how fast the averages follow at first, see :class:`mri_cyclegan.training.ema.AveragedNetwork`.

    Raises:
        ValueError: a value is out of range.
    """

    learning_rate_generators: float = 2e-4
    learning_rate_discriminators: float = 2e-4
    beta1: float = 0.5
    schedule: str = "linear"
    constant_share: float = 0.5
    clip_gradients: float | None = None
    skip_non_finite: bool = True
    accumulate_batches: int = 1
    num_discriminator_steps: int = 1
    ema_decay: float | None = 0.999
    ema_warmup: int = 10

    def __post_init__(self) -> None:
        for name in ("learning_rate_generators", "learning_rate_discriminators"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimization.{name}: expected 0 or more, got {getattr(self, name)}.")
        if not 0 <= self.beta1 < 1:
            raise ValueError(f"optimization.beta1: expected a share in [0, 1), got {self.beta1}.")
        constant_then_falling(1, self.constant_share, self.schedule)  # raises if an argument is invalid
        if self.clip_gradients is not None and not self.clip_gradients > 0:
            raise ValueError(
                f"optimization.clip_gradients: expected a norm above 0, or null for none; got {self.clip_gradients}."
            )
        for name in ("accumulate_batches", "num_discriminator_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"optimization.{name}: expected 1 or more, got {getattr(self, name)}.")

    @property
    def learning_rates(self) -> tuple[float, float]:
        """Learning rates of the generators and of the discriminators."""
        return self.learning_rate_generators, self.learning_rate_discriminators

    @property
    def betas(self) -> tuple[float, float]:
        """Decay rates of Adam's moments."""
        return self.beta1, 0.999

    def optimizers(
        self, sides: Iterable[Iterable[nn.Module]], trainer: Any
    ) -> tuple[list[torch.optim.Optimizer], list[dict[str, Any]]]:
        """Create Adam and a schedule for each side, in Lightning's format.

        Args:
            sides: modules trained with the generators, and modules trained with the discriminators.
            trainer: gives the number of epochs and the precision.
        """
        optimizers: list[torch.optim.Optimizer] = []
        schedules: list[dict[str, Any]] = []
        for name, networks, rate in zip(("generators", "discriminators"), sides, self.learning_rates, strict=True):
            weights = [weight for network in networks for weight in network.parameters()]
            optimizer = torch.optim.Adam(weights, lr=rate, betas=self.betas, fused=_use_fused_adam(trainer))
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._lr_factor(trainer))
            optimizers.append(optimizer)
            schedules.append({"scheduler": schedule, "name": f"learning_rate/{name}"})
        return optimizers, schedules

    def set_learning_rates(self, schedules: Any, factor: float, trainer: Any) -> None:
        """Set the configured learning rates and betas, since loading a checkpoint restores those it was saved with.

        Args:
            schedules: of the generators and of the discriminators.
            factor: on both configured rates.
            trainer: gives the current epoch.
        """
        now = self._lr_factor(trainer)(trainer.current_epoch)
        for schedule, configured in zip(schedules, self.learning_rates, strict=True):
            rate = configured * factor
            schedule.base_lrs = [rate] * len(schedule.base_lrs)
            for group in schedule.optimizer.param_groups:
                group.update(lr=rate * now, initial_lr=rate, betas=self.betas)

    def adapt_states(self, states: Iterable[dict[str, Any]], trainer: Any) -> None:
        """Adapt saved optimizer states, in place, to this run's precision.

        Args:
            states: ``optimizer_states`` of a checkpoint.
            trainer: trainer of this run.
        """
        for state in states:
            for group in state["param_groups"]:
                group.update(fused=_use_fused_adam(trainer), foreach=None)

    def _lr_factor(self, trainer: Any) -> Callable[[int], float]:
        return constant_then_falling(trainer.max_epochs or 0, self.constant_share, self.schedule)

    def prepare_gradients(self, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Clip the gradients, and have the coming step skipped if one of them is not finite.

        The host does not wait for the device: fused Adam reads there whether to skip, from ``found_inf``, the way
        torch's gradient scaler tells it. Where Adam is not fused, the scaler skips the step itself.

        Args:
            optimizer: from :meth:`optimizers`, about to step; its gradients are already averaged over ranks.

        Returns:
            Scalar on the gradients' device, 1 if the step is skipped; None if steps are never skipped.
        """
        if self.clip_gradients is None and not self.skip_non_finite:
            return None
        weights = [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights])
        if self.clip_gradients is not None:
            # Lightning's clipping rejects fused Adam in any mixed precision, although only float16 scales gradients.
            nn.utils.clip_grads_with_norm_(weights, self.clip_gradients, norm)
        if not self.skip_non_finite:
            return None
        skipped = (~norm.isfinite()).float()
        if optimizer.defaults["fused"]:
            optimizer.found_inf = skipped  # type: ignore[attr-defined]
        return skipped

    def make_ema(self, generator: nn.Module) -> AveragedNetwork | None:
        """Moving average of a generator, or None if averaging is off."""
        return None if self.ema_decay is None else AveragedNetwork(generator, self.ema_decay, self.ema_warmup)

    def updates_generators(self, batch_index: int) -> bool:
        """Whether the generators learn from this batch of an epoch, not only the discriminators."""
        return batch_index // self.accumulate_batches % self.num_discriminator_steps == 0

    def starts_accumulation(self, batch_index: int) -> bool:
        """Whether a batch is the first of a group of accumulated batches."""
        return batch_index % self.accumulate_batches == 0

    def ends_accumulation(self, batch_index: int) -> bool:
        """Whether a batch fills its group of accumulated batches; the last batch of an epoch ends its group, too."""
        return self.starts_accumulation(batch_index + 1)


def _use_fused_adam(trainer: Any) -> bool:
    """Whether to use fused Adam; not with float16, where it would unscale gradients itself, after clipping."""
    return trainer.precision != "16-mixed"
