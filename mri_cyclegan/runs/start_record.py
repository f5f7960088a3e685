"""Files that record how a run was started, written once the start can no longer be rejected."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.splits.content_hash import content_hash
from mri_cyclegan.evaluation.protocol import WHY_TRAINING_METRICS_DIFFER
from mri_cyclegan.filesystem import atomic_write_text, remove_abandoned
from mri_cyclegan.runs.environment import record_data, record_start
from mri_cyclegan.runs.run_folder import ERROR
from mri_cyclegan.training.tensorboard_events import TensorBoardEvents


class StartRecord(pl.Callback):
    """Writes ``config.yaml``, ``environment.json``, ``split.json`` and ``findings.json`` when training starts.

    Not before: until the checkpoint is loaded, a start may be rejected, and must leave an existing run unchanged.

    Args:
        run_dir: run folder.
        config: run configuration.
        accepted: called when the start is recorded.

    Attributes:
        is_written: whether the start was recorded; it is not if the checkpoint already has all epochs.
    """

    def __init__(self, run_dir: Path, config: DictConfig, accepted: Callable[[], None]) -> None:
        self.run_dir = run_dir
        self.config = config
        self.accepted = accepted
        self.is_written = False

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Reject a training that would end before it starts.

        Raises:
            ValueError: the checkpoint has more epochs than ``trainer.max_epochs``.
        """
        num_done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        if num_done > trainer.max_epochs:
            raise ValueError(
                f"trainer.max_epochs={trainer.max_epochs}: the checkpoint has trained {num_done} epochs already. Give "
                f"more than {num_done} to train on, or start a new run in another run_dir without resume and ckpt_path."
            )

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Record the start, on rank 0."""
        if trainer.is_global_zero:
            self.write(trainer)

    def write(self, trainer: Any) -> None:
        """Write all files, and remove partial files of an earlier start.

        Args:
            trainer: its data module is set up.
        """
        run_dir, data = self.run_dir, trainer.datamodule
        (run_dir / ERROR).unlink(missing_ok=True)
        for folder in (run_dir, run_dir / "samples"):
            remove_abandoned(folder)
        self.accepted()
        atomic_write_text(run_dir / "config.yaml", OmegaConf.to_yaml(self.config, resolve=True))
        record_start(run_dir, self.config, trainer)
        data.split.save(run_dir / "split.json", data.scans_root)
        record_data(run_dir, content_hash(data.split, data.cache))
        save_findings(run_dir, data.findings)
        log_configuration(trainer, self.config)
        self.is_written = True


def save_findings(run_dir: Path, findings: Sequence[Finding]) -> None:
    """Write ``findings.json``, if there are any: warnings about scans, and scans that were left out."""
    if not findings:
        (run_dir / "findings.json").unlink(missing_ok=True)
        return
    content = [finding.as_json() for finding in sorted(findings)]
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    atomic_write_text(run_dir / "findings.json", text)


def log_configuration(trainer: pl.Trainer, config: DictConfig) -> None:
    """Log the resolved configuration to TensorBoard as text, with a note on why its metrics differ from one another."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardEvents):
            logger.open()
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("metrics", WHY_TRAINING_METRICS_DIFFER)
            logger.experiment.add_text("config", "```yaml\n" + OmegaConf.to_yaml(config, resolve=True) + "\n```")
