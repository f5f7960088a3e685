"""SIGTERM while several processes train together."""

import signal
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException


class EndTogether(pl.Callback):
    """Ends all processes after the same batch when SIGTERM comes to any of them, as from a cluster's time limit.

    Lightning's own handler takes part in a collective operation from within the signal. Whatever the processes were
    just exchanging, they may then wait for different things, for ever. Here the handler makes a note, and they compare
    notes every ``trainer.log_every_n_steps`` batches and after an epoch's last one. A single process keeps Lightning's.
    """

    def __init__(self) -> None:
        self.told_to_end = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Take Lightning's place; it puts back what was there before when training ends."""
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, signal_number: int, frame: Any) -> None:
        self.told_to_end = True

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Compare notes.

        Raises:
            SIGTERMException: one process was told to end; in all of them.
        """
        if trainer.world_size == 1 or ((batch_idx + 1) % trainer.log_every_n_steps and not trainer.is_last_batch):
            return
        if trainer.strategy.reduce_boolean_decision(self.told_to_end, all=False):
            raise SIGTERMException
