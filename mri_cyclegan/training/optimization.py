"""How the weights of a CycleGAN move: everything about training that is neither a network nor a loss."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mri_cyclegan.training.ema import AveragedNetwork
from mri_cyclegan.training.lr_schedule import constant_then_falling


@dataclass(frozen=True)
class Optimization:
    """Settings of the optimizers, and what follows from them.

    Attributes:
        learning_rate_generators: of Adam.
        learning_rate_discriminators: of Adam; another one than the generators' makes two time scales (Heusel et al.,
            "GANs trained by a two time-scale update rule", NeurIPS 2017).
        beta1: decay of Adam's mean of gradients.
        schedule: how the learning rates fall, see
            :func:`mri_cyclegan.training.lr_schedule.constant_then_falling`; likewise ``constant_share``.
        clip_gradients: largest norm of the gradients of one optimizer, all its weights together; None for any.
        skip_non_finite: leave the weights of a side as they are where its loss or a gradient is not finite.
        accumulate_batches: batches whose mean gradient moves the weights once. With instance normalization that is
            one larger batch; the last group of an epoch may have fewer batches, which then count less.
        num_discriminator_steps: updates of the discriminators for each of the generators, which then learn from every
            so-many-th batch only.
        ema_decay: of the generators' moving average, which validates, draws samples and is saved; None for none.
        ema_warmup: the average follows faster at first, see :class:`mri_cyclegan.training.ema.AveragedNetwork`.

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
        constant_then_falling(1, self.constant_share, self.schedule)  # refuses what it cannot follow
        if self.clip_gradients is not None and not self.clip_gradients > 0:
            raise ValueError(
                f"optimization.clip_gradients: expected a norm above 0, or null for none; got {self.clip_gradients}."
            )
        for name in ("accumulate_batches", "num_discriminator_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"optimization.{name}: expected 1 or more, got {getattr(self, name)}.")

    @property
    def learning_rates(self) -> tuple[float, float]:
        """Of the generators and of the discriminators."""
        return self.learning_rate_generators, self.learning_rate_discriminators

    @property
    def betas(self) -> tuple[float, float]:
        """Of Adam."""
        return self.beta1, 0.999

    def optimizers(
        self, sides: Iterable[Iterable[nn.Module]], trainer: Any
    ) -> tuple[list[torch.optim.Optimizer], list[dict[str, Any]]]:
        """Adam and a schedule for each side, as Lightning wants them.

        Args:
            sides: networks of the generators' side, and of the discriminators'.
            trainer: says how long, and in which precision.
        """
        optimizers: list[torch.optim.Optimizer] = []
        schedules: list[dict[str, Any]] = []
        for name, networks, rate in zip(("generators", "discriminators"), sides, self.learning_rates, strict=True):
            weights = [weight for network in networks for weight in network.parameters()]
            optimizer = torch.optim.Adam(weights, lr=rate, betas=self.betas, fused=_fused(trainer))
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor(trainer))
            optimizers.append(optimizer)
            schedules.append({"scheduler": schedule, "name": f"learning_rate/{name}"})
        return optimizers, schedules

    def set_rates(self, schedules: Any, factor: float, trainer: Any) -> None:
        """Set the optimizers as configured here: a checkpoint brings along the values of its own run.

        Args:
            schedules: of the generators' side, and of the discriminators'.
            factor: on both configured rates.
            trainer: says in which epoch.
        """
        now = self._factor(trainer)(trainer.current_epoch)
        for schedule, configured in zip(schedules, self.learning_rates, strict=True):
            rate = configured * factor
            schedule.base_lrs = [rate] * len(schedule.base_lrs)
            for group in schedule.optimizer.param_groups:
                group.update(lr=rate * now, initial_lr=rate, betas=self.betas)

    def adapt_states(self, states: Iterable[dict[str, Any]], trainer: Any) -> None:
        """Change saved states of optimizers, in place, so that they fit a trainer of perhaps another precision.

        Args:
            states: ``optimizer_states`` of a checkpoint.
            trainer: of this run.
        """
        for state in states:
            for group in state["param_groups"]:
                group.update(fused=_fused(trainer), foreach=None)

    def _factor(self, trainer: Any) -> Callable[[int], float]:
        return constant_then_falling(trainer.max_epochs or 0, self.constant_share, self.schedule)

    def prepare_gradients(self, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Clip the gradients, and keep the coming step from moving weights if one of them is not finite.

        Nobody waits for the device: the fused Adam looks there whether to move anything, which torch's gradient scaler
        has it do too; where Adam is not fused the scaler skips the step itself.

        Args:
            optimizer: from :meth:`optimizers`, about to step; gradients of several processes are their mean already.

        Returns:
            Scalar, 1 where the step is skipped, on the gradients' device; None if none ever is.
        """
        if self.clip_gradients is None and not self.skip_non_finite:
            return None
        weights = [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights])
        if self.clip_gradients is not None:
            # Not by Lightning: it refuses the fused Adam wherever precision is mixed, though only float16 is scaled.
            nn.utils.clip_grads_with_norm_(weights, self.clip_gradients, norm)
        if not self.skip_non_finite:
            return None
        skipped = (~norm.isfinite()).float()
        if optimizer.defaults["fused"]:
            optimizer.found_inf = skipped  # type: ignore[attr-defined]
        return skipped

    def average_of(self, generator: nn.Module) -> AveragedNetwork | None:
        """The moving average of a generator, if there is to be one."""
        return None if self.ema_decay is None else AveragedNetwork(generator, self.ema_decay, self.ema_warmup)

    def generators_learn(self, batch_index: int) -> bool:
        """Whether the generators learn from a batch of an epoch, or the discriminators alone."""
        return batch_index // self.accumulate_batches % self.num_discriminator_steps == 0

    def starts_group(self, batch_index: int) -> bool:
        """Whether a batch is the first of those that move the weights together."""
        return batch_index % self.accumulate_batches == 0

    def ends_group(self, batch_index: int) -> bool:
        """Whether a batch is the last of them; so is the last batch of an epoch."""
        return self.starts_group(batch_index + 1)


def _fused(trainer: Any) -> bool:
    """Whether Adam is one kernel; with float16 it would unscale gradients itself, after they are clipped."""
    return trainer.precision != "16-mixed"
