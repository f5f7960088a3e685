"""Hydra callback that checks a sweep (``-m``) before its jobs and ranks them afterwards."""

import atexit
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mri_cyclegan.configuration.devices import num_gpus, require_one_device
from mri_cyclegan.configuration.schema import keys_of_overrides
from mri_cyclegan.distributed import exit_with_parent
from mri_cyclegan.filesystem import require_writable
from mri_cyclegan.sweeps.folders import claim_run_folder, claim_sweep_folder, require_new_sweep
from mri_cyclegan.sweeps.gpu_slots import take_gpu
from mri_cyclegan.sweeps.job_folders import failed, job_folders
from mri_cyclegan.sweeps.jobs import failed_here
from mri_cyclegan.sweeps.study import prepare_study


class SweepCallback(Callback):
    """Checks a sweep before it starts, labels jobs by what varies, gives each a GPU, and ranks them at the end.

    Args:
        retry_failed: whether an Optuna study reruns its failed and interrupted trials once.
    """

    def __init__(self, retry_failed: bool) -> None:
        self.retry_failed = retry_failed
        self.reported = False
        self.pid = os.getpid()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Reject ``sweep=…`` without ``-m`` and a folder that is not writable; claim the run folder."""
        sweep = config.hydra.runtime.choices.get("sweep")
        if sweep:
            print(
                f"sweep={sweep} is many runs. Add -m: python -m mri_cyclegan.train -m sweep={sweep} …", file=sys.stderr
            )
            sys.exit(1)
        try:
            claim_run_folder(config)
            require_writable(Path(config.hydra.run.dir), "hydra.run.dir")
        except ValueError as error:  # Hydra alone would print a traceback
            print(error, file=sys.stderr)
            sys.exit(1)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check and claim the sweep in the launching process. Errors exit: Hydra swallows all but SystemExit."""
        try:
            require_one_device(config, num_visible=1)  # each job checks again with the GPUs that it sees
            _require_workers(config.hydra.launcher)
            varying, fixed = _split_varying_and_fixed(config)
            if "sweep" in varying:
                raise ValueError("sweep=: expected one prepared sweep, got several. Start one after the other.")
            _exclude_from_job_labels(config, fixed)
            if config.hydra.sweeper._target_.endswith(".OptunaSweeper"):
                overrides = [override for override in config.hydra.overrides.task if _key(override) not in varying]
                with read_write(config), open_dict(config):
                    prepare_study(config.hydra.sweeper, overrides, self.retry_failed)
            require_new_sweep(config)
            claim_sweep_folder(config)
            require_writable(Path(config.hydra.sweep.dir), "hydra.sweep.dir")
        except Exception as error:
            print(error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(1)
        self.folder = Path(config.hydra.sweep.dir)
        self.earlier = set(job_folders(self.folder))
        atexit.register(self.report)  # on_multirun_end is not called when the sweeper fails or is interrupted

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give the job its GPU, and end it, with a checkpoint, when the launching process is gone."""
        launcher = config.hydra.launcher.get("_target_", "")
        if config.hydra.mode != RunMode.MULTIRUN or not launcher.endswith(".JoblibLauncher"):
            return
        if os.getpid() != self.pid:  # with one job at a time, jobs run in the launching process
            exit_with_parent(os.getppid(), signal.SIGTERM)
        if config.trainer.accelerator != "cpu" and str(config.trainer.devices) in ("1", "auto", "-1"):
            take_gpu(Path(config.hydra.sweep.dir).absolute(), num_gpus())

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Rank the jobs; exit with status 1 if one failed."""
        if self.report():
            sys.exit(1)

    def report(self) -> int:
        """Print the ranking and the failed jobs, once.

        Returns:
            Number of jobs that failed.
        """
        if self.reported or os.getpid() != self.pid:
            return 0
        self.reported = True
        jobs = set(job_folders(self.folder))
        if jobs:
            from mri_cyclegan.sweeps.leaderboard_table import report_sweep

            report_sweep(self.folder)
        return max(len(failed(jobs - self.earlier)), len(failed_here))


def _require_workers(launcher: DictConfig) -> None:
    if launcher.get("_target_", "").endswith(".SlurmLauncher") and shutil.which("srun") is None:
        raise ValueError(
            "hydra/launcher=slurm: there is no srun on this host. Start the command where jobs are submitted from, or "
            "try it with hydra/launcher=submitit_local."
        )
    if launcher.get("_target_", "").endswith(".JoblibLauncher") and launcher.n_jobs == 0:
        raise ValueError(
            "hydra/launcher=gpus: this host has no GPU to run a job on. "
            "Add hydra.launcher.n_jobs=2 to run two jobs at a time on its CPU, or leave hydra/launcher out."
        )


def _key(override: str) -> str:
    return next(iter(keys_of_overrides([override])))


def _split_varying_and_fixed(config: DictConfig) -> tuple[set[str], set[str]]:
    """Split override keys into those that vary, in the sweep's file or on the command line, and those that do not."""
    given = keys_of_overrides(config.hydra.overrides.task)
    varying = set(OmegaConf.to_container(config.hydra.sweeper.get("params") or OmegaConf.create({})))  # type: ignore[arg-type]
    varying = {_key(f"{key}=0") for key in map(str, varying)} - {key for key, varies in given.items() if not varies}
    varying |= {key for key, varies in given.items() if varies}
    return varying, given.keys() - varying


def _exclude_from_job_labels(config: DictConfig, fixed: Sequence[str] | set[str]) -> None:
    """Leave fixed overrides out of job labels; set by an override, which also reaches jobs on other machines."""
    names = ",".join(f"'{key}'" for key in sorted(fixed))
    with read_write(config), open_dict(config):
        config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{names}]")
