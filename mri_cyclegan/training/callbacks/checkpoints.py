"""Checkpoints to resume from: after every epoch, every few minutes, and when a signal ends training."""

import logging
import signal
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytorch_lightning as pl
from torch import nn

from mri_cyclegan.filesystem import free_bytes, remove_abandoned
from mri_cyclegan.training.skipped_steps import has_finite_weights

log = logging.getLogger(__name__)

# Sent by the user, by a cluster at the time limit, by SLURM before it preempts a job.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

LAST, PREVIOUS, NEXT = "last.ckpt", "previous.ckpt", "next.ckpt"

# Most checkpoints on disk at a time: these three, and the best one of another callback.
NUM_FILES = 4


class Interrupted(SystemExit):
    """A signal ended training after a checkpoint was written; the exit status is 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class LastCheckpoints(pl.callbacks.Checkpoint):
    """Writes ``last.ckpt`` after every epoch and every n minutes, and keeps the one before as ``previous.ckpt``.

    SIGINT, SIGTERM and SIGUSR1 save a checkpoint and end training after the current batch or validation; a second
    SIGINT ends it at once. All ranks must stop at the same batch, but any of them may have received the signal, so they
    synchronize every ``trainer.log_every_n_steps`` batches. (Lightning's own handler runs a collective operation inside
    the signal handler, while the ranks may be in the middle of another one.)

    Args:
        folder: folder of the checkpoints.
        every_minutes: interval of checkpoints within an epoch; None for checkpoints after epochs only.
    """

    def __init__(self, folder: str, every_minutes: float | None) -> None:
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(
                f"callbacks.last_checkpoint.every_minutes: expected above 0, or null; got {every_minutes}."
            )
        self.folder = Path(folder)
        self.every_minutes = every_minutes
        self.signal = 0
        self.has_skipped_steps = False

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Remove partial files that killed processes left, and check free disk space.

        Raises:
            ValueError: there is not enough space for the checkpoints.
        """
        if not trainer.is_global_zero:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.folder)
        there = sum(path.stat().st_size for path in self.folder.glob("*.ckpt"))
        needed = NUM_FILES * checkpoint_bytes(pl_module) - there
        free = free_bytes(self.folder)
        if free < needed:
            raise ValueError(
                f"run_dir: the checkpoints need {needed / 1e9:.2f} GB more, but {self.folder} has {free / 1e9:.2f} GB "
                "free. Make room, or give another run_dir."
            )

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock and install signal handlers; Lightning restores the earlier ones when training ends."""
        self.saved_at = monotonic()
        if threading.current_thread() is not threading.main_thread():
            return  # Python sets signal handlers in the main thread only
        for number in SIGNALS:
            # Lightning may handle SIGUSR1 itself, to requeue a SLURM job.
            if number != signal.SIGUSR1 or signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._handle_signal)

    def _handle_signal(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT == self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save if a checkpoint is due or a signal has arrived.

        Not after the last batch of an epoch, since :meth:`on_train_epoch_end` saves, nor within a group of accumulated
        batches, since a checkpoint has no gradients.

        Raises:
            Interrupted: a signal has arrived.
        """
        if trainer.is_last_batch or not pl_module.optimization.ends_accumulation(batch_idx):
            return
        if trainer.world_size > 1 and (batch_idx + 1) % trainer.log_every_n_steps:
            return
        is_due = self.every_minutes is not None and monotonic() - self.saved_at > 60 * self.every_minutes
        interrupted = self._any_rank(trainer, bool(self.signal))
        if interrupted or self._any_rank(trainer, is_due):
            self.save(trainer, pl_module)
        if interrupted:
            raise Interrupted(self.signal or signal.SIGTERM)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Save a checkpoint. A signal waits: Lightning logs the epoch's means only after this hook."""
        self.save(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Stop if a signal arrived at the end of the previous epoch.

        Raises:
            Interrupted: a signal has arrived.
        """
        self._stop_if_interrupted(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop if a signal arrived at the end of the last epoch.

        Raises:
            Interrupted: a signal has arrived.
        """
        self._stop_if_interrupted(trainer)

    def _stop_if_interrupted(self, trainer: Any) -> None:
        if self._any_rank(trainer, bool(self.signal)):
            raise Interrupted(self.signal or signal.SIGTERM)

    def save(self, trainer: Any, pl_module: Any) -> None:
        """Save as ``next.ckpt`` and then rename, so that an intact checkpoint with finite weights always exists."""
        self.saved_at = monotonic()
        if not has_finite_weights(pl_module):
            log.warning("No checkpoint now, as weights are not finite: the last good one stays.")
            return
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.folder / NEXT)
        if trainer.is_global_zero:
            if (self.folder / LAST).exists() and not self.has_skipped_steps:
                (self.folder / LAST).replace(self.folder / PREVIOUS)
            (self.folder / NEXT).replace(self.folder / LAST)
        self.has_skipped_steps = pl_module.skipped_steps.num_consecutive > 0

    @staticmethod
    def _any_rank(trainer: Any, decision: bool) -> bool:
        """Whether ``decision`` is True on any rank."""
        if trainer.world_size == 1:
            return decision
        return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))


def checkpoint_bytes(module: nn.Module) -> int:
    """Size of a checkpoint: weights and buffers, plus Adam's two moments of each trained weight."""
    tensors = (*module.parameters(), *module.buffers())
    trained = (weight for weight in module.parameters() if weight.requires_grad)
    return sum(one.nbytes for one in tensors) + 2 * sum(weight.nbytes for weight in trained)


def last_good_checkpoint(folder: Path, names: Sequence[str] = (NEXT, LAST, PREVIOUS)) -> Path | None:
    """The newest intact checkpoint of a run, or None.

    Args:
        folder: folder of the checkpoints.
        names: file names to try, newest first.
    """
    for path in map(folder.joinpath, names):  # not by modification time: clocks may be set back
        if is_intact(path):
            return path
        if path.exists():
            log.warning("%s is damaged and is left out.", path)
    return None


def is_intact(checkpoint: Path) -> bool:
    """Whether a checkpoint file is intact, by the CRC-32 checksum of each tensor in it."""
    try:
        with zipfile.ZipFile(checkpoint) as file:
            return file.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError):
        return False
