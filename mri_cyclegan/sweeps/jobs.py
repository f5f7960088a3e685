"""What one job of Hydra returns, and what becomes of its errors."""

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
from mri_cyclegan.runs.job_record import JobRecord
from mri_cyclegan.runs.resume_hint import resume_hint
from mri_cyclegan.runs.run_folder import ERROR, is_free
from mri_cyclegan.text import replace_unencodable

log = logging.getLogger(__name__)

# Folders of jobs that failed in this process. One that was refused where a run lies leaves no other trace.
failed_here: list[Path] = []

Train = Callable[[DictConfig, Callable[[], None]], Any]


def run_job(train: Train, config: DictConfig, in_sweep: bool) -> float | None:
    """Train: a user's mistake or a fault of the machine ends in one message, its traceback in a file.

    In a sweep the other jobs go on. Where the folder holds a run, its files stay as they are until the start is
    accepted.

    Args:
        train: takes the configuration, and what it calls when the start is accepted; raises ValueError for a mistake.
        config: of the run.
        in_sweep: whether any error at all is kept for the end of the sweep.

    Returns:
        What a sweeper maximizes; None for a failed job of a sweep.
    """
    replace_unencodable()  # launchers run jobs in processes of their own
    _continue_if_requeued(config)
    run_dir = Path(config.run_dir)
    record = JobRecord(run_dir, config) if distributed.is_rank_zero() else None
    if record is not None and in_sweep and is_free(run_dir):
        record.write()  # the sweep's end lists it, also if it is killed in its first seconds
    try:
        train(config, (lambda: None) if record is None else record.write)
    except Exception as error:
        message = explain(error, _folders(config))
        if message is None and not in_sweep:
            if distributed.is_rank_zero():
                log.error(resume_hint(config))
            raise
        if not distributed.is_rank_zero():
            sleep(10)  # most mistakes meet every process: leave the first one time to tell before the launcher ends all
            sys.exit(f"A further process failed: {error}")
        message = message or f"{type(error).__name__}: {error}"
        log.error("%s", message if record is None else _with_details(record, message, config))
        if not isinstance(error, ValueError):
            log.error(resume_hint(config))
        if not in_sweep:
            sys.exit(1)
        failed_here.append(run_dir)
        return None
    return objective(run_dir)


def _folders(config: DictConfig) -> dict[str, Path]:
    """What a run writes to."""
    keys = ("run_dir", "data.cache_root", "data.root")
    return {key: Path(value).expanduser() for key in keys if (value := OmegaConf.select(config, key)) is not None}


def _with_details(record: JobRecord, message: str, config: DictConfig) -> str:
    """The message, and the file with its traceback; the message alone on a full disk, and where another run is."""
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
    """Go on where SLURM took the node away and starts the job again, in the same folder."""
    if int(os.environ.get("SLURM_RESTART_COUNT", "0")):
        config.resume, config.ckpt_path = "auto", None


def objective(run_dir: Path) -> float | None:
    """Mean foreground SSIM of both directions at the best validation epoch: test subjects must not choose.

    Args:
        run_dir: of a finished run; see :class:`mri_cyclegan.training.callbacks.validation.BestValidation`.

    Returns:
        In [-1, 1]; None where no validation subject has pairs.
    """
    try:
        return float(json.loads((run_dir / "validation.json").read_text(encoding="utf-8"))["ssim"])
    except FileNotFoundError:
        return None
