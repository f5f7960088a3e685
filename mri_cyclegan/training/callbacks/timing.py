"""Time per training step, and the share of it spent waiting for data."""

import logging
import math
from time import perf_counter
from typing import Any

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class StepTimer(pl.Callback):
    """Logs ``time/step_s`` and ``time/waiting_share``; warns if the data loader starves the device.

    On a CPU it warns once, from the first measured step, if a full epoch will take more than 10 minutes.

    Args:
        warn_above: warn if a larger share of an epoch is spent waiting for data, in [0, 1].
    """

    def __init__(self, warn_above: float) -> None:
        self.warn_above = warn_above
        self.warned = False
        self.num_steps_seen = 0
        self._restart()

    def _restart(self) -> None:
        self.step_s = self.waiting_s = 0.0
        self.num_steps = 0
        self.last_end: float | None = None

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Reset the clocks; the time between two epochs belongs to no step."""
        self._restart()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        """Stop the waiting clock."""
        self.start = perf_counter()
        self.waited_s = 0.0 if self.last_end is None else self.start - self.last_end

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the step, except the first of an epoch, which also starts worker processes."""
        first = self.last_end is None
        self.last_end = perf_counter()
        if first:
            return
        self.num_steps += 1
        self.num_steps_seen += 1
        self.step_s += self.last_end - self.start + self.waited_s
        self.waiting_s += self.waited_s
        if self.num_steps_seen == 1 and pl_module.device.type == "cpu":
            self._warn_if_slow_cpu(trainer)
        num_batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if num_batches % trainer.log_every_n_steps and not trainer.is_last_batch:
            return  # logging itself takes time
        values = {"time/step_s": self.step_s / self.num_steps, "time/waiting_share": self.waiting_s / self.step_s}
        pl_module.log_dict(values, on_step=True, on_epoch=False, batch_size=1)

    def _warn_if_slow_cpu(self, trainer: Any) -> None:
        datamodule = trainer.datamodule
        epoch_s = self.step_s * math.ceil(len(datamodule.train_slices) / (datamodule.batch_size * trainer.world_size))
        if epoch_s > 600:
            log.warning(
                "On this CPU a step takes %.1f s (measured), a full epoch about %.1f hours. "
                "A GPU is the place for it; +experiment=demo is sized for a CPU.",
                self.step_s,
                epoch_s / 3600,
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Warn once if the epoch waited too long for data."""
        if self.num_steps < 20 or self.warned or self.waiting_s <= self.warn_above * self.step_s:
            return
        self.warned = True
        log.warning(
            "The loader starves the device: %.0f %% of the epoch's time went into waiting for data. "
            "Raise data.num_workers.",
            100 * self.waiting_s / self.step_s,
        )
