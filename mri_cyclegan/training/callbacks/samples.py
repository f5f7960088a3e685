"""Pictures of fixed slices during training."""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from mri_cyclegan.evaluation.pictures import Row, sample_grid, save_png


class SampleGrid(pl.Callback):
    """Writes ``samples/epoch_*.png`` and the TensorBoard image ``samples``: real, fake, cycled, identity, truth.

    Args:
        folder: where the PNG files go.
        num_cases: fixed slices, from validation subjects where there are any.
        every_n_epochs: how often; the last epoch is always drawn.
    """

    def __init__(self, folder: str, num_cases: int, every_n_epochs: int) -> None:
        self.folder = Path(folder)
        self.num_cases = num_cases
        self.every_n_epochs = every_n_epochs

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the slices, once."""
        self.cases = trainer.datamodule.sample_cases(self.num_cases)  # type: ignore[attr-defined]
        self.contrasts = trainer.datamodule.contrasts  # type: ignore[attr-defined]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        epoch = trainer.current_epoch + 1
        if not trainer.is_global_zero or (epoch % self.every_n_epochs and epoch != trainer.max_epochs):
            return
        figure = sample_grid(self._rows(pl_module), f"Epoch {epoch}, all pictures in the same window")
        picture = save_png(figure, self.folder / f"epoch_{epoch:04d}.png")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", picture, trainer.global_step // 2, dataformats="HWC")

    @torch.inference_mode()
    def _rows(self, pl_module: pl.LightningModule) -> list[Row]:
        name_a, name_b = self.contrasts
        to_b, to_a = pl_module.translator_ab, pl_module.translator_ba
        was_training = [(network, network.training) for network in (to_b, to_a)]
        rows: list[Row] = []
        for network, _ in was_training:
            network.eval()
        for case in self.cases:
            a, b = (image[None].to(pl_module.device) for image in (case.a, case.b))
            fake_b, fake_a = to_b(a), to_a(b)
            for source, fake, cycled, identity, truth, names in (
                (a, fake_b, to_a(fake_b), to_a(a), b, (name_a, name_b)),
                (b, fake_a, to_b(fake_a), to_b(b), a, (name_b, name_a)),
            ):
                pictures = {
                    f"real {names[0]}": _picture(source),
                    f"synthetic {names[1]}": _picture(fake),
                    f"true {names[1]}": _picture(truth) if case.paired else None,
                    f"back to {names[0]}": _picture(cycled),
                    f"identity {names[0]}": _picture(identity),
                }
                rows.append((case.label, pictures))
        for network, training in was_training:
            network.train(training)
        return rows


def _picture(image: Tensor) -> np.ndarray:
    return image[0, 0].float().cpu().numpy()
