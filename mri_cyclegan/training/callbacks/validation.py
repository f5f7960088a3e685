"""The best validation score of a run, in a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from mri_cyclegan.filesystem import atomic_write_text


class BestValidation(pl.Callback):
    """Writes ``validation.json``: the best foreground SSIM, averaged over both directions, and its epoch.

    Sweeps rank runs by it, since test subjects must not be used for model selection. ``images`` is equal for runs
    validated on the same images, whatever the files are called.

    Args:
        path: of the file.
        required: raise if no validation subject has both contrasts.
    """

    def __init__(self, path: str, required: bool) -> None:
        self.path = Path(path)
        self.required = required
        self.best: dict[str, Any] | None = None

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Check that the run can be validated.

        Raises:
            ValueError: validation is required, but there are no pairs.
        """
        if self.required and not trainer.datamodule.val_pairs:
            raise ValueError(
                "sweep=optuna maximizes SSIM on validation subjects, and none has both contrasts. Give data.val_share "
                "or data.split_file so that some have, or sweep a grid (sweep=loss_weights) and judge by the pictures."
            )

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Update the file if this validation is the best so far."""
        ssim = trainer.callback_metrics.get("val/ssim")
        if trainer.sanity_checking or ssim is None or not (self.best is None or float(ssim) > self.best["ssim"]):
            return
        if float(ssim) != float(ssim):  # NaN, from a diverged run
            return
        self.best = {
            "ssim": float(ssim),
            "epoch": trainer.current_epoch + 1,
            "images": _validation_images_hash(trainer),
        }
        if trainer.is_global_zero:
            atomic_write_text(self.path, json.dumps(self.best, indent=2) + "\n")

    def state_dict(self) -> dict[str, Any]:
        """The best validation, for resuming."""
        return {"best": self.best, "path": str(self.path)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best validation of this run; a run in another folder starts its own selection."""
        if state_dict["path"] == str(self.path):
            self.best = state_dict["best"]


def _validation_images_hash(trainer: Any) -> str:
    """Hash of the validation images: voxels of the scans, preprocessing settings and number of batches."""
    data = trainer.datamodule
    voxels = sorted([volume.record["voxel_hash"] for volume in pair] for pair in data.val_pairs)
    content = json.dumps([voxels, repr(data.preprocessing), str(trainer.limit_val_batches)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
