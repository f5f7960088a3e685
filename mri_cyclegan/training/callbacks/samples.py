"""Sample pictures of fixed slices during training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from mri_cyclegan.pictures import Row, sample_grid, save_png
from mri_cyclegan.slice_stack import center_slice
from mri_cyclegan.training.cyclegan import CycleGAN


class SampleGrid(pl.Callback):
    """Writes ``samples/epoch_*.png`` and the TensorBoard image ``samples``: real, fake, true target, cycled, identity.

    Args:
        folder: folder of the PNG files.
        num_cases: number of fixed slices, from validation subjects if there are any.
        every_n_epochs: interval in epochs; the last epoch is always drawn.
    """

    def __init__(self, folder: str, num_cases: int, every_n_epochs: int) -> None:
        self.folder = Path(folder)
        self.num_cases = num_cases
        self.every_n_epochs = every_n_epochs

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Choose the slices, once."""
        self.cases = trainer.datamodule.sample_cases(self.num_cases)
        self.contrasts = trainer.datamodule.contrasts

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Draw the grid if it is due."""
        epoch = trainer.current_epoch + 1
        if not trainer.is_global_zero or (epoch % self.every_n_epochs and epoch != trainer.max_epochs):
            return
        figure = sample_grid(self._rows(pl_module), f"Epoch {epoch}, all pictures in the same window")
        picture = save_png(figure, self.folder / f"epoch_{epoch:04d}.png")
        # Not trainer.global_step: that counts the steps of every optimizer.
        num_batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", picture, num_batches, dataformats="HWC")

    def _rows(self, model: CycleGAN) -> list[Row]:
        rows: list[Row] = []
        for case in self.cases:
            images = {"a": case.a[None].to(model.device), "b": case.b[None].to(model.device)}
            for direction, (source, target) in (("ab", self.contrasts), ("ba", self.contrasts[::-1])):
                back = direction[::-1]
                fake = model.translate_stack(images[direction[0]], direction)
                pictures = {
                    f"real {source}": _picture(images[direction[0]]),
                    f"synthetic {target}": _picture(fake),
                    f"true {target}": _picture(images[direction[1]]) if case.paired else None,
                    f"back to {source}": _picture(model.translate_stack(fake, back)),
                    f"identity {source}": _picture(model.translate_stack(images[direction[0]], back)),
                }
                rows.append((case.label, pictures))
        return rows


def _picture(image: Tensor) -> np.ndarray:
    return center_slice(image)[0, 0].float().cpu().numpy()
