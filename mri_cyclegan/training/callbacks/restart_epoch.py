"""Resuming within an epoch after the batch size has changed."""

import logging
from typing import Any

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class RestartEpochOnBatchSizeChange(pl.Callback):
    """Restarts an unfinished epoch if the batch size has changed, since Lightning resumes at a batch number."""

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Save the number of slices per batch."""
        checkpoint["slices_a_batch"] = slices_per_batch(trainer)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restart the epoch if the size differs; runs before Lightning restores the batch number."""
        before, now = checkpoint.get("slices_a_batch"), slices_per_batch(trainer)
        loop = checkpoint["loops"]["fit_loop"]
        progress = loop["epoch_loop.batch_progress"]
        if before in (None, now) or progress["is_last_batch"] or not progress["current"]["processed"]:
            return
        log.info("The unfinished epoch starts over: its batches had %s slices and have %s now.", before, now)
        progress["current"] = dict.fromkeys(progress["current"], -1)  # Lightning increments these to 0
        loop["state_dict"].pop("combined_loader", None)
        pl_module.on_train_epoch_start()


def slices_per_batch(trainer: Any) -> int:
    """Slices of each contrast in one batch, summed over ranks."""
    return trainer.datamodule.batch_size * trainer.world_size
