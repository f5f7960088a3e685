"""The best validation of a run, in a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from mri_cyclegan.filesystem import atomic_write_text


class BestValidation(pl.Callback):
    """Writes ``validation.json``: the best mean foreground SSIM of both directions and its epoch.

    What a sweep is judged by, since test subjects must not choose. ``images`` is equal for runs that were validated on
    the same images, however they are called.

    Args:
        path: of the file.
        required: refuse to train where no validation subject has pairs.
    """

    def __init__(self, path: str, required: bool) -> None:
        self.path = Path(path)
        self.required = required
        self.best: dict[str, Any] | None = None

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuse what cannot be judged.

        Raises:
            ValueError: there are no pairs.
        """
        if self.required and not trainer.datamodule.val_pairs:
            raise ValueError(
                "sweep=optuna maximizes SSIM on validation subjects, and none has both contrasts. Give data.val_share "
                "or data.split_file so that some have, or sweep a grid (sweep=loss_weights) and judge by the pictures."
            )

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the best."""
        ssim = trainer.callback_metrics.get("val/ssim")
        if trainer.sanity_checking or ssim is None or not (self.best is None or float(ssim) > self.best["ssim"]):
            return
        if float(ssim) != float(ssim):  # a diverged run has no best
            return
        self.best = {"ssim": float(ssim), "epoch": trainer.current_epoch + 1, "images": _images(trainer)}
        if trainer.is_global_zero:
            atomic_write_text(self.path, json.dumps(self.best, indent=2) + "\n")

    def state_dict(self) -> dict[str, Any]:
        """For a run that goes on."""
        return {"best": self.best, "path": str(self.path)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of a run that goes on in its own folder; in another one the best weights are chosen anew."""
        if state_dict["path"] == str(self.path):
            self.best = state_dict["best"]


def _images(trainer: Any) -> str:
    """Hash of what is validated on: scans by their voxels, how they are prepared, and how many batches."""
    data = trainer.datamodule
    voxels = sorted([volume.record["voxel_hash"] for volume in pair] for pair in data.val_pairs)
    content = json.dumps([voxels, repr(data.preprocessing), str(trainer.limit_val_batches)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
