"""Whether SLURM started this process as one of several, or a person in a shell that SLURM gave out.

Lightning takes every process in a job with ``SLURM_NTASKS`` for one that srun started, unless the job is called "bash"
or "interactive". A shell of any other name then waits for processes that nobody starts, and tasks that srun starts
from a shell of these names train apart from each other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_lightning.plugins.environments import ClusterEnvironment

# Numbers from here on are no steps of srun's tasks: 0xfffffffb the batch script, 0xfffffffa the shell of salloc.
FIRST_RESERVED_STEP = 0xFFFFFFF0


def is_task() -> bool:
    """Whether this is one of the processes that ``srun python …`` starts together.

    The script of sbatch and the shell of salloc are not, nor is a shell of ``srun --pty``: its terminal tells it from
    srun's tasks, which have none, also where these were started from such a shell and have its variables.
    """
    step = os.environ.get("SLURM_STEP_ID", "")
    if not step.isdecimal() or int(step) >= FIRST_RESERVED_STEP or has_terminal():
        return False
    return os.environ.get("SLURM_NTASKS") != "1" or not _is_named_a_shell()


def _is_named_a_shell() -> bool:
    """By Lightning's rule; needed where a shell's terminal is gone."""
    return os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def has_terminal() -> bool:
    """Whether a terminal controls this process, wherever its input and output go."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def environment(num_nodes: int) -> ClusterEnvironment | None:
    """What tells Lightning of the processes that train together; None where it finds that out by itself.

    Args:
        num_nodes: hosts of the training.

    Raises:
        ValueError: a shell or script, which is on one host, is to train on several, or srun was not told how many
            processes a host has.
    """
    if "SLURM_NTASKS" not in os.environ or "RANK" in os.environ:  # torchrun counts for itself
        return None
    from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment

    num_tasks = os.environ["SLURM_NTASKS"]
    if is_task():
        if int(num_tasks) > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise ValueError(
                f"srun started {num_tasks} processes, but not so many a host. Give srun and sbatch --ntasks-per-node "
                "and --nodes in place of --ntasks (-n); see docs/slurm.sh."
            )
        return SLURMEnvironment()
    if num_nodes > 1 and "NODE_RANK" not in os.environ:
        raise ValueError(
            f"trainer.num_nodes={num_nodes}: SLURM started this process alone, and nothing starts those on the other "
            "hosts. Put srun before the command, as docs/slurm.sh does, or give trainer.num_nodes=1."
        )
    if num_tasks == "1" and not has_terminal():
        return None  # a batch script, which Lightning puts back into the queue
    return LightningEnvironment()
