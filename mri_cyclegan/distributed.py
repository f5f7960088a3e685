"""Distributed training: which rank this process is, and how the other ranks keep out of rank 0's way.

Rank 0 owns the run folder and the screen. The other ranks only train.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mri_cyclegan import slurm

if TYPE_CHECKING:
    import pytorch_lightning as pl


_BROADCAST_VARIABLE = "MRI_CYCLEGAN_AGREED"

# Interval between checks whether the parent is alive.
INTERVAL_S = 0.5

# Parents that this process is watching.
_watched: set[int] = set()


def is_rank_zero() -> bool:
    """Whether this process is rank 0 or the only process, before there is a trainer to ask.

    torchrun sets ``RANK``, Lightning's own launcher ``NODE_RANK`` and ``LOCAL_RANK``, SLURM's srun ``SLURM_PROCID``.
    """
    for names in (("RANK",), ("NODE_RANK", "LOCAL_RANK"), ("SLURM_PROCID",)):
        numbers = {os.environ[name] for name in names if name in os.environ}
        if numbers:
            return numbers == {"0"}
    return True


@contextmanager
def rank_overrides() -> Iterator[list[str]]:
    """Hydra overrides that keep a non-zero rank from creating folders and printing; none for rank 0.

    A non-zero rank exits with torchrun or rank 0, if one of these started it.

    Yields:
        Overrides for the command line.
    """
    if is_rank_zero():
        yield []
        return
    # A process started by hand may outlive its parent.
    if "TORCHELASTIC_RUN_ID" in os.environ or ("LOCAL_RANK" in os.environ and "RANK" not in os.environ):
        exit_with_parent(os.getppid())
    with TemporaryDirectory(prefix="mri_cyclegan_") as folder:
        yield [f"hydra.run.dir='{folder}'", "hydra.output_subdir=null", "hydra.job_logging.root.handlers=[file]"]


def check_world_size(trainer: pl.Trainer) -> None:
    """Raise if launcher and trainer disagree on the number of processes: they would hang or train separately.

    Raises:
        ValueError: torchrun or srun did not start as many processes as the trainer expects.
    """
    # torchrun first: it may run within a SLURM job. Lightning's own launcher starts what the trainer expects.
    counted_by = "WORLD_SIZE" if "RANK" in os.environ else "SLURM_NTASKS" if slurm.is_task() else ""
    started = os.environ.get(counted_by)
    if started is not None and int(started) != trainer.world_size:
        raise ValueError(
            f"trainer.devices × trainer.num_nodes: expected {started}, as many as processes were started, got "
            f"{trainer.world_size}. Say trainer=ddp, trainer.devices=<processes on a host> and "
            "trainer.num_nodes=<hosts>, or start fewer processes."
        )


def run_on_rank_zero_first(trainer: pl.Trainer, prepare: Callable[[], None]) -> None:
    """Run ``prepare`` on rank 0, then on one rank of each other host, while all other ranks wait.

    So no file is made twice on a shared disk, and none is missing on a host's local disk. torchrun and srun start all
    ranks at once: they join the process group here, earlier than Lightning would make them. Lightning's own launcher
    starts the other ranks of this host at ``fit``, when all files exist, so none has to wait.

    Args:
        trainer: before ``fit``.
        prepare: makes files; raises if it fails.

    Raises:
        ValueError: it failed on another rank; rank 0 reports the error, the others exit silently.
    """
    import torch.distributed as dist
    from pytorch_lightning.plugins.environments import LightningEnvironment

    first_here = trainer.local_rank == 0
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if trainer.world_size == 1 or isinstance(environment, LightningEnvironment):
        if first_here:
            prepare()
        return
    trainer.strategy.setup_environment()
    # A separate group: it works without a GPU, and waits longer than the minutes that a training step may take.
    group: Any = dist.new_group(backend="gloo", timeout=timedelta(days=30))
    for my_turn in (trainer.is_global_zero, first_here and not trainer.is_global_zero):
        error = _failure(prepare) if my_turn else None
        messages: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(messages, None if error is None else f"{type(error).__name__}: {error}", group=group)
        failed = [rank for rank, message in enumerate(messages) if message is not None]
        if failed and not trainer.is_global_zero:
            # Rank 0 reports. Launchers end all ranks when the first one exits: wait, so that rank 0 exits first.
            with suppress(RuntimeError):
                dist.barrier(group)
            sys.exit(1)
        if error is not None:
            raise error
        if failed:
            raise ValueError(f"Process {failed[0]} could not prepare the data. {messages[failed[0]]}")
    dist.destroy_process_group(group)


def broadcast(trainer: pl.Trainer, text: str | None) -> str | None:
    """Broadcast rank 0's text to all ranks; call it after :func:`run_on_rank_zero_first`.

    Args:
        trainer: before ``fit``.
        text: this rank's text.
    """
    import torch.distributed as dist

    if trainer.world_size == 1:
        return text
    if dist.is_initialized():
        said = [text]
        dist.broadcast_object_list(said, src=0, device=trainer.strategy.root_device)
        return said[0]
    # Lightning's own launcher starts the other ranks at fit, with this process's environment.
    if trainer.is_global_zero:
        os.environ[_BROADCAST_VARIABLE] = text or ""
    return os.environ.get(_BROADCAST_VARIABLE) or None


def all_gather(value: Any) -> list[Any]:
    """Collect the values of all ranks, in rank order; all ranks must call it.

    Args:
        value: this rank's value, plain data and CPU tensors.
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def _failure(prepare: Callable[[], None]) -> Exception | None:
    try:
        prepare()
    except Exception as error:
        return error
    return None


def destroy(trainer: pl.Trainer) -> None:
    """Destroy the process group after training, so that what rank 0 measures afterwards waits for no other rank."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        trainer.strategy.barrier()
        dist.destroy_process_group()


def end_child_ranks(trainer: pl.Trainer, patience_s: float = 10) -> None:
    """Wait for the ranks that Lightning's launcher started on this host to exit, and kill those that do not.

    They exit on their own once they notice that this process has stopped. On a GPU they may wait for it for minutes,
    with the GPU occupied.

    Args:
        trainer: a trainer that has stopped.
        patience_s: seconds after which a rank is killed.
    """
    for process in getattr(trainer.strategy.launcher, "procs", []):
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()


def describe_batch(num_ranks: int, batch_size: int, accumulate_batches: int) -> str:
    """Describe the effective batch size, for the log.

    Example:
        >>> describe_batch(2, 3, 1)
        '2 processes, batch 3 each: effective batch 6'
        >>> describe_batch(2, 3, 4)
        '2 processes, batch 3 each, 4 batches together: effective batch 24'
    """
    together = f", {accumulate_batches} batches together" if accumulate_batches > 1 else ""
    effective = num_ranks * batch_size * accumulate_batches
    return f"{num_ranks} processes, batch {batch_size} each{together}: effective batch {effective}"


def exit_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Watch the parent from a thread, and send this process a signal when the parent is gone.

    Children of a killed process would otherwise keep running.

    Args:
        parent: ID of the process that started this one; it may already be gone.
        number: signal to send.
    """
    if parent not in _watched:
        _watched.add(parent)
        threading.Thread(target=_signal_when_orphaned, args=(parent, number), daemon=True).start()


def _signal_when_orphaned(parent: int, number: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL_S)
    os.kill(os.getpid(), number)
