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
from mri_cyclegan.evaluation.job_folders import ERROR

log = logging.getLogger(__name__)


def run_job(train: Callable[[DictConfig], Any], config: DictConfig, in_sweep: bool) -> float | None:
    """Train: a user's mistake ends in one message, its traceback in a file; in a sweep the other jobs go on.

    Args:
        train: raises ValueError for a mistake.
        config: of the run.
        in_sweep: whether any error at all is kept for the end of the sweep.

    Returns:
        What a sweeper maximizes; None for a failed job of a sweep.
    """
    _continue_if_requeued(config)
    try:
        train(config)
    except Exception as error:
        if not (in_sweep or isinstance(error, ValueError)):
            raise
        if not ranks.is_first():
            sleep(10)  # most mistakes meet every process: leave the first one time to tell before the launcher ends all
            sys.exit(f"A further process failed: {error}")
        message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        details = Path(config.run_dir) / ERROR
        details.parent.mkdir(parents=True, exist_ok=True)
        details.write_text(f"{message}\n\n{traceback.format_exc()}\n{OmegaConf.to_yaml(config)}", encoding="utf-8")
        log.error("%s\n(details: %s)", message, details)
        if not in_sweep:
            sys.exit(1)
        return None
    return objective(Path(config.run_dir))


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
