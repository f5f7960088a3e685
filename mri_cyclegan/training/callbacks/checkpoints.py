"""Checkpoints to go on from: after every epoch, every few minutes, and when a signal ends the training."""

import logging
import signal
import threading
import zipfile
from pathlib import Path
from time import monotonic
from typing import Any

import pytorch_lightning as pl

log = logging.getLogger(__name__)

# From a user, from a cluster at its time limit, from SLURM before it takes a node away.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

LAST, PREVIOUS, NEXT = "last.ckpt", "previous.ckpt", "next.ckpt"


class Interrupted(SystemExit):
    """A signal ended the training after its checkpoint was written; the exit status is 128 and the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class LastCheckpoints(pl.callbacks.Checkpoint):
    """Writes ``last.ckpt`` after every epoch and every so many minutes, and keeps the one before as ``previous.ckpt``.

    SIGINT, SIGTERM and SIGUSR1 end the training after the batch at work, or after the validation, with a checkpoint; a
    second SIGINT ends it at once. Of several processes, which must do the same in the same batch, any may have got the
    signal: they compare notes every ``trainer.log_every_n_steps`` batches. (Lightning's own handler takes part in a
    collective operation from within the signal, while the processes may be exchanging something else.)

    Args:
        folder: for the files.
        every_minutes: within an epoch; None for after epochs only.
    """

    def __init__(self, folder: str, every_minutes: float | None) -> None:
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(
                f"callbacks.last_checkpoint.every_minutes: expected above 0, or null; got {every_minutes}."
            )
        self.folder = Path(folder)
        self.every_minutes = every_minutes
        self.signal = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock and take the signals; Lightning puts back what was there when training ends."""
        self.saved_at = monotonic()
        if threading.current_thread() is not threading.main_thread():
            return  # only there can signals be taken
        for number in SIGNALS:
            # SIGUSR1 may be Lightning's, in a SLURM job that it puts back into the queue.
            if number != signal.SIGUSR1 or signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT == self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save if it is time.

        Not after the epoch's last batch, whose epoch is about to end, nor while gradients add up, which no checkpoint
        holds.

        Raises:
            Interrupted: by a signal.
        """
        if trainer.is_last_batch or not pl_module.optimization.ends_group(batch_idx):
            return
        if trainer.world_size > 1 and (batch_idx + 1) % trainer.log_every_n_steps:
            return
        is_due = self.every_minutes is not None and monotonic() - self.saved_at > 60 * self.every_minutes
        told = self._any(trainer, bool(self.signal))
        if told or self._any(trainer, is_due):
            self.save(trainer, pl_module)
        if told:
            raise Interrupted(self.signal or signal.SIGTERM)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Save.

        Raises:
            Interrupted: by a signal.
        """
        self.save(trainer, pl_module)
        if self._any(trainer, bool(self.signal)):
            raise Interrupted(self.signal or signal.SIGTERM)

    def save(self, trainer: Any, pl_module: Any) -> None:
        """Write a file of another name first: at any moment there is a whole checkpoint, and a good one."""
        self.saved_at = monotonic()
        if not pl_module.is_sound():
            log.warning("No checkpoint now, as numbers are not finite: the last good one stays.")
            return
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.folder / NEXT)
        if trainer.is_global_zero:
            if (self.folder / LAST).exists():
                (self.folder / LAST).replace(self.folder / PREVIOUS)
            (self.folder / NEXT).replace(self.folder / LAST)

    @staticmethod
    def _any(trainer: Any, decision: bool) -> bool:
        """Whether any process has decided so."""
        if trainer.world_size == 1:
            return decision
        return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))


def last_good_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run that is whole; None where there is none.

    Args:
        folder: of the checkpoints.
    """
    for path in (folder / NEXT, folder / LAST, folder / PREVIOUS):  # not by their times: clocks are put back
        if is_whole(path):
            return path
        if path.exists():
            log.warning("%s is damaged and is left out.", path)
    return None


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint is as it was written: each tensor in it has a checksum (CRC-32)."""
    try:
        with zipfile.ZipFile(checkpoint) as file:
            return file.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError):
        return False
