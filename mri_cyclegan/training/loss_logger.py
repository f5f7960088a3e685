"""Logging of the training losses."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from mri_cyclegan.training.loss_means import LossMeans

IN_PROGRESS_BAR = ("generators", "discriminator_a", "discriminator_b")


class LossLogger:
    """Logs losses at the logging interval and their means at the end of an epoch, without waiting for the device.

    Calling Lightning's ``log`` in every batch would cost a tenth of a short step. Losses of single batches go straight
    to the loggers, so that none is missing when training resumes from a checkpoint after that batch.

    Attributes:
        latest: losses of the last batch, detached.
        means: mean losses of the epoch so far.
    """

    def __init__(self) -> None:
        self.latest: dict[str, Tensor] = {}
        self.means = LossMeans()

    def log(self, module: pl.LightningModule, losses: Mapping[str, Tensor]) -> None:
        """Log one batch.

        Args:
            module: the module in training.
            losses: scalars by name; the same names throughout an epoch.
        """
        trainer: Any = module.trainer
        self.latest = {name: value.detach() for name, value in losses.items()}
        self.means.add(self.latest)
        num_batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        is_due = num_batches % trainer.log_every_n_steps == 0
        if is_due or self.means.num_batches == 1:
            shown = {f"loss/{name}": self.latest[name] for name in IN_PROGRESS_BAR}
            module.log_dict(shown, on_step=True, on_epoch=False, prog_bar=True, logger=False, batch_size=1)
        if is_due:
            row: dict[str, Any] = {f"loss/{name}_step": value for name, value in self.latest.items()}
            for logger in trainer.loggers:
                logger.log_metrics(row | {"epoch": module.current_epoch}, step=num_batches - 1)
        if trainer.is_last_batch:
            means = {f"loss/{name}_epoch": value for name, value in self.means.take().items()}
            module.log_dict(means, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)  # mean over all ranks
