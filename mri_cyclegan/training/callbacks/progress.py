"""Progress of training: progress bar and learning curves."""

import logging
import sys
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

from mri_cyclegan.pictures import learning_curves, save_png
from mri_cyclegan.training.validation_baselines import mean_over_subjects, score_translators, trivial_baselines

log = logging.getLogger(__name__)


class TrainingProgressBar(RichProgressBar):
    """Progress bar of the epoch, with losses, validation SSIM and the time left for the whole run.

    If the output is not a terminal (a cluster's log file, a pipe), it logs one line per epoch instead.
    """

    def __init__(self, refresh_rate: int) -> None:
        super().__init__(refresh_rate=refresh_rate)
        if not sys.stdout.isatty():
            self.disable()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self.start = perf_counter()
        self.first_epoch = trainer.current_epoch

    def time_left(self, trainer: Any, num_batches_done: int) -> str:
        """Time left until the end of the run at the speed so far, h:mm:ss."""
        per_epoch = max(1, int(trainer.num_training_batches))
        done = (trainer.current_epoch - self.first_epoch) * per_epoch + num_batches_done
        remaining = ((trainer.max_epochs or 0) - self.first_epoch) * per_epoch - done
        return str(timedelta(seconds=round((perf_counter() - self.start) / max(1, done) * remaining)))

    def get_metrics(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        """Values shown beside the bar."""
        found = super().get_metrics(trainer, pl_module)
        shown = {key.split("/")[-1]: value for key, value in found.items() if "_epoch" not in key}
        shown.pop("v_num", None)
        return {**shown, "left": self.time_left(trainer, trainer.fit_loop.epoch_loop.batch_idx + 1)}

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Without a terminal, log the epoch's line."""
        super().on_train_epoch_end(trainer, pl_module)
        # Read on every rank: the first read of an epoch's means is a reduction over all ranks.
        values = {key: float(value) for key, value in trainer.callback_metrics.items()}
        if self.is_enabled or not trainer.is_global_zero:
            return
        names = {
            "loss/generators_epoch": "generators",
            "loss/discriminator_a_epoch": "discriminator_a",
            "loss/discriminator_b_epoch": "discriminator_b",
            "val/psnr": "val psnr",
            "val/ssim": "val ssim",
        }
        shown = "  ".join(f"{label} {values[key]:.3f}" for key, label in names.items() if key in values)
        left = self.time_left(trainer, int(trainer.num_training_batches))
        log.info("epoch %d/%s  %s  left %s", trainer.current_epoch + 1, trainer.max_epochs, shown, left)


class LearningCurves(pl.Callback):
    """Draws ``progress.png`` after every epoch: losses, validation metrics and the baselines' scores.

    Args:
        path: of the picture.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.history: list[dict[str, float]] = []
        self.baselines: dict[str, dict[str, float]] = {}

    def _score_baselines(self, trainer: Any, device: Any) -> None:
        """Score the baselines once, at the first picture: earlier would delay the first training step."""
        datamodule = trainer.datamodule
        if self.baselines or not datamodule.val_pairs:
            return
        slices = datamodule.train_slices
        methods = trivial_baselines(slices.volumes_a, slices.volumes_b)
        scores = score_translators(methods, datamodule.all_val_batches(), len(datamodule.val_pairs), device)
        self.baselines = {
            name: {
                f"val/{metric}_{direction}": mean
                for direction, of_direction in directions.items()
                for metric, mean in of_direction.items()
            }
            for name, directions in mean_over_subjects(scores).items()
        }

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Add the epoch to the history and draw the curves."""
        row = {"epoch": float(trainer.current_epoch)}
        for key, value in trainer.callback_metrics.items():
            if key.endswith("_epoch") or key.startswith("val/"):
                row[key.removesuffix("_epoch")] = float(value)
        self.history.append(row)
        if trainer.is_global_zero:
            self._score_baselines(trainer, pl_module.device)
            save_png(learning_curves(self.history, self.baselines), self.path)

    def state_dict(self) -> dict[str, Any]:
        """History of all epochs so far, so that a resumed run draws the whole curve."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history from the checkpoint."""
        self.history = state_dict["history"]
