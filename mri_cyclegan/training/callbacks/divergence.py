"""Response to non-finite losses and gradients: warn, roll back, and finally stop with a diagnosis."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from mri_cyclegan.text import listing
from mri_cyclegan.training.callbacks.checkpoints import PREVIOUS, last_good_checkpoint
from mri_cyclegan.training.callbacks.rank_states import load_pools, rank_state
from mri_cyclegan.training.skipped_steps import SkippedSteps, Step, has_finite_weights

log = logging.getLogger(__name__)

# Most slices named in one message.
MAX_NAMED = 6


class Diverged(ValueError):
    """Training has diverged, and rolling back is not possible or did not help."""


class DivergenceGuard(pl.Callback):
    """Warns of steps skipped for a non-finite loss or gradient, and rolls back after many consecutive ones.

    ``optimization.skip_non_finite`` skips the steps; the warning names the slices of their batches. A rollback restores
    weights, averages, pools and optimizers from the last good checkpoint and lowers the learning rates; the order of
    the data is not rewound. Checks every ``trainer.log_every_n_steps`` batches, so that the GPU need not synchronize
    at every step. If a run is resumed with other learning rates, its count of rollbacks restarts at 0.

    Args:
        folder: folder of the checkpoints.
        max_consecutive_skips: consecutive skipped steps of one side, generators or discriminators, that trigger a
            rollback.
        max_rollbacks: rollbacks allowed in a run; instead of another one, training stops.
        learning_rate_factor: on both learning rates at each rollback, in (0, 1].

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self, folder: str, max_consecutive_skips: int, max_rollbacks: int, learning_rate_factor: float
    ) -> None:
        for name, value, least in (
            ("max_consecutive_skips", max_consecutive_skips, 1),
            ("max_rollbacks", max_rollbacks, 0),
        ):
            if value < least:
                raise ValueError(f"callbacks.divergence.{name}: expected {least} or more, got {value}.")
        if not 0 < learning_rate_factor <= 1:
            raise ValueError(
                f"callbacks.divergence.learning_rate_factor: expected a share in (0, 1], got {learning_rate_factor}."
            )
        self.folder = Path(folder)
        self.max_consecutive_skips, self.max_rollbacks = max_consecutive_skips, max_rollbacks
        self.learning_rate_factor = learning_rate_factor
        self.num_rollbacks, self.configured_learning_rates = 0, (0.0, 0.0)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Lower the learning rates as before, if the run resumes with the rates that led to rollbacks."""
        if self.configured_learning_rates != pl_module.optimization.learning_rates:
            self.num_rollbacks, self.configured_learning_rates = 0, pl_module.optimization.learning_rates
        pl_module.learning_rate_factor = self.learning_rate_factor**self.num_rollbacks
        if self.num_rollbacks:
            log.info(
                "Learning rates are %g times those configured: %s",
                pl_module.learning_rate_factor,
                self._rollback_summary(),
            )

    def _rollback_summary(self) -> str:
        return f"training was rolled back {self.num_rollbacks} times, of at most {self.max_rollbacks}."

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Check for skipped steps, at the logging interval and at the end of an epoch.

        Raises:
            Diverged: there is no checkpoint to roll back to, or ``max_rollbacks`` is reached.
        """
        num_batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if num_batches % trainer.log_every_n_steps and not trainer.is_last_batch:
            return
        pl_module.skipped_steps.read()
        steps = pl_module.skipped_steps.take()
        if steps and trainer.is_global_zero:
            log.warning("%s These steps are skipped.", describe_skipped_steps(trainer, steps))
        if pl_module.skipped_steps.num_consecutive >= self.max_consecutive_skips:
            self._roll_back(trainer, pl_module, steps)

    def _roll_back(self, trainer: Any, pl_module: Any, steps: Sequence[Step]) -> None:
        checkpoint = trainer.strategy.broadcast(
            last_checkpoint_before_skips(self.folder) if trainer.is_global_zero else None
        )
        if checkpoint is None or self.num_rollbacks == self.max_rollbacks:
            raise Diverged(diagnosis(trainer, pl_module, steps, self.num_rollbacks, checkpoint))
        self.num_rollbacks += 1
        log.warning(
            "%d consecutive steps were skipped: rolling back to %s, with %g times the learning rates; %s",
            pl_module.skipped_steps.num_consecutive,
            checkpoint,
            self.learning_rate_factor,
            self._rollback_summary(),
        )
        roll_back(pl_module, _read(checkpoint), self.learning_rate_factor)

    def state_dict(self) -> dict[str, Any]:
        """Number of rollbacks, for resuming."""
        return {
            "folder": str(self.folder),
            "num_returns": self.num_rollbacks,
            "rates_from": list(self.configured_learning_rates),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of rollbacks of this run; a run in another folder starts at 0."""
        if state_dict["folder"] == str(self.folder):
            self.num_rollbacks, self.configured_learning_rates = (
                state_dict["num_returns"],
                tuple(state_dict["rates_from"]),
            )


def roll_back(model: Any, checkpoint: dict[str, Any], learning_rate_factor: float) -> None:
    """Restore weights, averages, pools and optimizers of a checkpoint during training, and lower the learning rates.

    Args:
        model: the CycleGAN in training.
        checkpoint: content of a checkpoint of the same configuration.
        learning_rate_factor: on both learning rates from now on, multiplied with earlier factors.
    """
    trainer = model.trainer
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    load_pools(model, rank_state(checkpoint, trainer.global_rank))
    for optimizer, state in zip(trainer.optimizers, checkpoint["optimizer_states"], strict=True):
        optimizer.load_state_dict(state)
    model.zero_grad()
    model.learning_rate_factor *= learning_rate_factor
    model.on_train_start()
    model.skipped_steps = SkippedSteps()


def last_checkpoint_before_skips(folder: Path) -> Path | None:
    """The newest intact checkpoint saved while no steps were being skipped, or else the newest intact one.

    Args:
        folder: folder of the checkpoints.
    """
    newest = last_good_checkpoint(folder)
    if newest is None or not _read(newest).get("skipped_in_a_row"):
        return newest
    return last_good_checkpoint(folder, [PREVIOUS]) or newest


def _read(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, map_location="cpu", weights_only=True)


def describe_skipped_steps(trainer: Any, steps: Sequence[Step]) -> str:
    """Describe the batches and slices whose loss or gradient was not finite.

    Args:
        trainer: the running trainer.
        steps: skipped steps, at least one.
    """
    sides = " and ".join(sorted({step.side for step in steps}, reverse=True))
    batches = sorted({(step.epoch, step.batch) for step in steps})
    places = [f"epoch {epoch + 1}, batch {batch + 1}" for epoch, batch in batches]
    where = places[0] if len(places) == 1 else f"{places[0]} to {places[-1]} ({len(places)} batches)"
    names, damaged = _slices(trainer, batches)
    return (
        f"A loss or gradient of the {sides} is not finite, {where}; slices: {listing(dict.fromkeys(names), MAX_NAMED)}."
        + (
            f" Their prepared slices hold numbers that are not finite: {listing(damaged, MAX_NAMED)}."
            if damaged
            else ""
        )
    )


def _slices(trainer: Any, batches: Sequence[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Names of all slices in ``batches`` (epoch, batch), and folders of prepared slices that are not finite."""
    loader, slices = trainer.train_dataloader, trainer.datamodule.train_slices
    num_together = trainer.lightning_module.optimization.accumulate_batches
    groups = [(epoch, batch - k) for epoch, batch in batches for k in reversed(range(batch % num_together + 1))]
    sources = [source for group in groups for key in loader.keys_of_batch(*group) for source in slices.sources(key)]
    names = [f"{volume.scan.path.name} {number}" for volume, number in sources]
    return names, sorted({str(v.folder) for v, number in sources if not np.isfinite(v.stack(number, 0)).all()})


def diagnosis(trainer: Any, model: Any, steps: Sequence[Step], num_rollbacks: int, checkpoint: Path | None) -> str:
    """Explain why training stops, and what may help.

    Args:
        trainer: the running trainer.
        model: the CycleGAN in training.
        steps: the latest skipped steps.
        num_rollbacks: number of rollbacks so far.
        checkpoint: the last good checkpoint, or None if there is none yet.
    """
    words = [
        f"Training has diverged: in {model.skipped_steps.num_consecutive} consecutive steps "
        "a loss or gradient was not finite."
    ]
    if num_rollbacks:
        words.append(
            f"Rolling back to a good checkpoint {num_rollbacks} times did not help, at last with "
            f"{model.learning_rate_factor:g} times the configured learning rates."
        )
    elif checkpoint is None:
        words.append("There is no checkpoint yet to roll back to.")
    if steps:
        words.append(describe_skipped_steps(trainer, steps))
    losses = [name for name, value in model.loss_logger.latest.items() if not value.isfinite()]
    networks = [name for name, network in model.named_children() if not has_finite_weights(network)]
    for kind, names in (("Losses", losses), ("Weights of", networks)):
        if names:
            words.append(f"{kind} not finite: {', '.join(names)}.")
    words.append(
        "What may help: lower optimization.learning_rate_generators and optimization.learning_rate_discriminators, "
        "optimization.clip_gradients=1, trainer.precision=32-true; remove prepared slices that are damaged."
    )
    if checkpoint is not None:
        words.append(f"{checkpoint} is from before the divergence: resume=auto resumes from it.")
    return " ".join(words)
