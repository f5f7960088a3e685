"""Translation and validation of a LightningModule with one generator per direction."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.slice_stack import center_slice
from mri_cyclegan.training.compilation import force_eager
from mri_cyclegan.training.ema import AveragedNetwork
from mri_cyclegan.training.validation_metrics import PairedMetrics


class TranslationModule(pl.LightningModule):
    """Translates with a generator's moving average, or with the generator itself if there is none.

    Attributes:
        generator_ab: (B, C, H, W) in [-1, 1] to the same.
        generator_ba: (B, C, H, W) in [-1, 1] to the same.
        ema_ab: moving average of ``generator_ab``, or None.
        ema_ba: moving average of ``generator_ba``, or None.
        compiled: how the networks are compiled, see :func:`mri_cyclegan.training.compilation.compile_networks`.
        metrics: paired metrics of the current validation epoch, by direction.
    """

    generator_ab: nn.Module
    generator_ba: nn.Module
    ema_ab: AveragedNetwork | None
    ema_ba: AveragedNetwork | None
    compiled: str | bool = False
    metrics: dict[str, PairedMetrics]

    @property
    def translator_ab(self) -> nn.Module:
        """Network that translates a to b."""
        return self.generator_ab if self.ema_ab is None else self.ema_ab.network

    @property
    def translator_ba(self) -> nn.Module:
        """Network that translates b to a."""
        return self.generator_ba if self.ema_ba is None else self.ema_ba.network

    def translate(self, image: Tensor, direction: str) -> Tensor:
        """Translate slices.

        Args:
            image: (B, C, H, W), in [-1, 1].
            direction: ``"ab"`` or ``"ba"``.

        Returns:
            (B, 1, H, W), in [-1, 1]: the center slice of the stack.
        """
        return center_slice(self.translate_stack(image, direction))

    @torch.inference_mode()
    def translate_stack(self, image: Tensor, direction: str) -> Tensor:
        """As :meth:`translate`, but all slices of a stack, which translating back needs; always in evaluation mode."""
        network = self.translator_ab if direction == "ab" else self.translator_ba
        was_training = network.training
        network.eval()
        with force_eager(self.compiled):  # otherwise each batch size would be compiled
            fake = network(image)
        network.train(was_training)
        return fake

    def on_validation_epoch_start(self) -> None:
        """Reset the paired metrics of both directions."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        num_cases = len(datamodule.val_pairs)
        self.metrics = {direction: PairedMetrics(num_cases).to(self.device) for direction in DIRECTIONS}

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Measure both directions on paired slices, see :class:`mri_cyclegan.data.datasets.PairedSlices`."""
        for direction, metrics in self.metrics.items():
            source, target = direction[0], direction[1]
            fake = self.translate(batch[source], direction)
            metrics.update(fake, batch[target], batch[f"foreground_{target}"], batch["case"])

    def on_validation_epoch_end(self) -> None:
        """Log each direction's mean over subjects, and the mean of both directions as ``val/psnr`` and ``val/ssim``."""
        means = {
            direction: {metric: values.nanmean() for metric, values in metrics.compute().items()}
            for direction, metrics in self.metrics.items()
        }
        for metric in ("psnr", "ssim"):
            values = {direction: means[direction][metric] for direction in means}
            self.log_dict({f"val/{metric}_{direction}": value.float() for direction, value in values.items()})
            self.log(f"val/{metric}", torch.stack(list(values.values())).mean().float(), prog_bar=True)
