"""Runs one Hydra job: its return value, and how its errors are reported."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mri_cyclegan import distributed
from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.runs.error_messages import explain
from mri_cyclegan.runs.job_record import DeferredHydraOutput
from mri_cyclegan.runs.resume_hint import resume_hint
from mri_cyclegan.runs.run_folder import ERROR, is_free
from mri_cyclegan.text import make_output_encodable

log = logging.getLogger(__name__)

# Folders of jobs that failed in this process. A job rejected because its folder holds a run leaves no other trace.
failed_here: list[Path] = []

Train = Callable[[DictConfig, Callable[[], None]], Any]


def run_job(train: Train, config: DictConfig, in_sweep: bool) -> float | None:
    """Train; for a user's mistake or a machine fault, print one message and write the traceback to a file.

    In a sweep the other jobs continue. If the folder holds a run, its files stay unchanged until the start is accepted.

    Args:
        train: takes the configuration and a callback for when the start is accepted; raises ValueError for a mistake.
        config: run configuration.
        in_sweep: whether every error is only recorded, to be reported at the end of the sweep.

    Returns:
        The objective that a sweeper maximizes; None for a failed job of a sweep.
    """
    make_output_encodable()  # launchers run jobs in separate processes
    _continue_if_requeued(config)
    run_dir = Path(config.run_dir)
    record = DeferredHydraOutput(run_dir, config) if distributed.is_rank_zero() else None
    if record is not None and in_sweep and is_free(run_dir):
        record.write()  # so that the sweep's report lists the job even if it is killed in its first seconds
    try:
        train(config, (lambda: None) if record is None else record.write)
    except Exception as error:
        message = explain(error, _folders(config))
        if message is None and not in_sweep:
            if distributed.is_rank_zero():
                log.error(resume_hint(config))
            raise
        if not distributed.is_rank_zero():
            sleep(10)  # most errors occur on every rank: let rank 0 report before the launcher ends all ranks
            sys.exit(f"Another rank failed: {error}")
        message = message or f"{type(error).__name__}: {error}"
        log.error("%s", message if record is None else _save_traceback(record, message, config))
        if not isinstance(error, ValueError):
            log.error(resume_hint(config))
        if not in_sweep:
            sys.exit(1)
        failed_here.append(run_dir)
        return None
    return objective(run_dir)


def _folders(config: DictConfig) -> dict[str, Path]:
    """Folders that a run writes to, by configuration key."""
    keys = ("run_dir", "data.cache_root", "data.root")
    return {key: Path(value).expanduser() for key in keys if (value := OmegaConf.select(config, key)) is not None}


def _save_traceback(record: DeferredHydraOutput, message: str, config: DictConfig) -> str:
    """Save the traceback and name its file in the message, unless the disk is full or the folder holds another run."""
    details = record.folder / ERROR
    text = f"{message}\n\n{traceback.format_exc()}\n{OmegaConf.to_yaml(config)}"
    if not (record.is_written or is_free(record.folder)):
        return message
    try:
        record.folder.mkdir(parents=True, exist_ok=True)
        record.write()
        atomic_write_text(details, text)
    except (OSError, ValueError):
        return message
    return f"{message}\n(details: {details})"


def _continue_if_requeued(config: DictConfig) -> None:
    """Resume in the same folder if SLURM has requeued the job, for example after taking its node away."""
    if int(os.environ.get("SLURM_RESTART_COUNT", "0")):
        config.resume, config.ckpt_path = "auto", None


def objective(run_dir: Path) -> float | None:
    """Mean foreground SSIM of both directions at the best validation epoch; test subjects must not choose.

    Args:
        run_dir: folder of a finished run; see :class:`mri_cyclegan.training.callbacks.validation.BestValidation`.

    Returns:
        In [-1, 1]; None if no validation subject has pairs.
    """
    try:
        return float(json.loads((run_dir / "validation.json").read_text(encoding="utf-8"))["ssim"])
    except FileNotFoundError:
        return None
