"""Whether this process is one of several started by srun, or was started from a shell or script of a SLURM job.

Lightning assumes that srun started every process with ``SLURM_NTASKS``, unless the job is named "bash" or
"interactive". In a shell of a job with any other name, it then waits for processes that are never started; and tasks
that srun starts from a shell of a job with one of these names train separately.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_lightning.plugins.environments import ClusterEnvironment

# Step IDs from here on are not srun tasks: 0xfffffffb is the batch script, 0xfffffffa the shell of salloc.
FIRST_RESERVED_STEP = 0xFFFFFFF0


def is_task() -> bool:
    """Whether this is one of the processes that ``srun python …`` starts together.

    The script of sbatch and the shell of salloc are not, nor is a shell of ``srun --pty``: it has a terminal. srun's
    tasks have none, even if they were started from such a shell and inherit its variables.
    """
    step = os.environ.get("SLURM_STEP_ID", "")
    if not step.isdecimal() or int(step) >= FIRST_RESERVED_STEP or has_terminal():
        return False
    return os.environ.get("SLURM_NTASKS") != "1" or not _is_named_a_shell()


def _is_named_a_shell() -> bool:
    """Lightning's rule by job name; needed for a shell that has lost its terminal."""
    return os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def has_terminal() -> bool:
    """Whether this process has a controlling terminal, wherever its input and output go."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def environment(num_nodes: int) -> ClusterEnvironment | None:
    """Cluster environment to give Lightning; None if Lightning detects the right one itself.

    Args:
        num_nodes: number of hosts of the training.

    Raises:
        ValueError: a shell or script, which runs on one host, is to train on several; or srun was not given the number
            of processes per host.
    """
    if "SLURM_NTASKS" not in os.environ or "RANK" in os.environ:  # torchrun sets its own variables
        return None
    from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment

    num_tasks = os.environ["SLURM_NTASKS"]
    if is_task():
        if int(num_tasks) > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise ValueError(
                f"srun started {num_tasks} processes, but not that many per host. Give srun and sbatch "
                "--ntasks-per-node and --nodes in place of --ntasks (-n); see docs/slurm.sh."
            )
        return SLURMEnvironment()
    if num_nodes > 1 and "NODE_RANK" not in os.environ:
        raise ValueError(
            f"trainer.num_nodes={num_nodes}: SLURM started this process alone, and nothing starts those on the other "
            "hosts. Put srun before the command, as docs/slurm.sh does, or give trainer.num_nodes=1."
        )
    if num_tasks == "1" and not has_terminal():
        return None  # a batch script, which Lightning requeues
    return LightningEnvironment()
