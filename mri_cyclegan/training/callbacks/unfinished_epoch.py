"""An epoch that goes on in batches of another size."""

import logging
from typing import Any

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class UnfinishedEpoch(pl.Callback):
    """Starts an unfinished epoch over where its batches, by whose number Lightning goes on, now have another size."""

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Note the size."""
        checkpoint["slices_a_batch"] = slices_a_batch(trainer)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Compare it; before Lightning takes its place in the epoch from the checkpoint."""
        before, now = checkpoint.get("slices_a_batch"), slices_a_batch(trainer)
        loop = checkpoint["loops"]["fit_loop"]
        progress = loop["epoch_loop.batch_progress"]
        if before in (None, now) or progress["is_last_batch"] or not progress["current"]["processed"]:
            return
        log.info("The unfinished epoch starts over: its batches had %s slices and have %s now.", before, now)
        progress["current"] = dict.fromkeys(progress["current"], -1)  # Lightning completes the batch of the checkpoint
        loop["state_dict"].pop("combined_loader", None)
        pl_module.on_train_epoch_start()


def slices_a_batch(trainer: Any) -> int:
    """Of each contrast, in all processes together."""
    return trainer.datamodule.batch_size * trainer.world_size
