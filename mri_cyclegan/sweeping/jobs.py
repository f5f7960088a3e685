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

from mri_cyclegan import ranks
from mri_cyclegan.atomic_files import write_text_atomically
from mri_cyclegan.evaluation.job_folders import ERROR
from mri_cyclegan.running.faults import explain
from mri_cyclegan.running.going_on import how_to_go_on

log = logging.getLogger(__name__)


def run_job(train: Callable[[DictConfig], Any], config: DictConfig, in_sweep: bool) -> float | None:
    """Train: a user's mistake or a fault of the machine ends in one message, its traceback in a file.

    In a sweep the other jobs go on.

    Args:
        train: raises ValueError for a mistake.
        config: of the run.
        in_sweep: whether any error at all is kept for the end of the sweep.

    Returns:
        What a sweeper maximizes; None for a failed job of a sweep.
    """
    _continue_if_requeued(config)
    run_dir = Path(config.run_dir)
    try:
        train(config)
    except Exception as error:
        message = explain(error, _folders(config))
        if message is None and not in_sweep:
            if ranks.is_first():
                log.error(how_to_go_on(config))
            raise
        if not ranks.is_first():
            sleep(10)  # most mistakes meet every process: leave the first one time to tell before the launcher ends all
            sys.exit(f"A further process failed: {error}")
        _tell(run_dir / ERROR, message or f"{type(error).__name__}: {error}", config)
        if not isinstance(error, ValueError):
            log.error(how_to_go_on(config))
        if not in_sweep:
            sys.exit(1)
        return None
    return objective(run_dir)


def _folders(config: DictConfig) -> dict[str, Path]:
    """What a run writes to."""
    keys = ("run_dir", "data.cache_root", "data.root")
    return {key: Path(value).expanduser() for key in keys if (value := OmegaConf.select(config, key)) is not None}


def _tell(details: Path, message: str, config: DictConfig) -> None:
    """Log the message, and write it with its traceback into a file; on a full disk log it alone."""
    text = f"{message}\n\n{traceback.format_exc()}\n{OmegaConf.to_yaml(config)}"
    try:
        details.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(details, text)
        message += f"\n(details: {details})"
    except OSError:
        pass
    log.error("%s", message)


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
