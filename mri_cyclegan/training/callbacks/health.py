"""Warning signs in generator outputs and discriminator losses."""

import logging
from collections import Counter
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.slice_stack import center_slice

log = logging.getLogger(__name__)

ADVICE = {
    "constant": "Output of generator_{direction} is nearly constant. "
    "Lower optimization.learning_rate_generators or raise model.lambda_cycle.",
    "saturated": "Output of generator_{direction} is mostly black or white. "
    "Lower optimization.learning_rate_generators.",
    "copy": "Output of generator_{direction} is nearly its source. Lower model.lambda_identity or model.lambda_cycle.",
    "discriminator": "Loss of discriminator_{direction} has stayed near 0: it wins, and the generator learns little. "
    "Lower optimization.learning_rate_discriminators or try another model.adversarial_loss.",
    "inverted": "Output of generator_{direction} has its contrast inverted: it correlates negatively with the truth. "
    "Raise model.lambda_identity, or try another seed.",
}


class HealthMonitor(pl.Callback):
    """Warns, once per sign and network, of outputs and losses from which training rarely recovers.

    Signs: constant output, saturated output, output that copies its source, a discriminator loss near 0 for long, and,
    where paired slices exist, inverted contrast. Checks every ``trainer.log_every_n_steps`` batches, so that the GPU
    need not synchronize at every step. Only rank 0 checks, on its own batches.

    Args:
        patience: consecutive checks that must show a sign before the warning; ten times as many for discriminators.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.seen: Counter[tuple[str, str]] = Counter()
        self.warned: set[tuple[str, str]] = set()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Check the latest generated images and discriminator losses."""
        num_batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if not trainer.is_global_zero or num_batches % trainer.log_every_n_steps:
            return
        outputs_now: Any = pl_module.outputs
        for direction, fake in (("ab", outputs_now.fake_b), ("ba", outputs_now.fake_a)):
            for sign, shown in output_signs(fake, source=batch[direction[0]], target=batch[direction[1]]).items():
                self._note(sign, direction, shown, self.patience)
        if not pl_module.has_bounded_loss:
            return
        for name in ("a", "b"):
            loss = float(pl_module.loss_logger.latest[f"discriminator_{name}"])
            self._note("discriminator", name, loss < 0.01, 10 * self.patience)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Check the translations of fixed paired slices for inverted contrast."""
        if not trainer.is_global_zero:
            return
        cases = [case for case in trainer.datamodule.sample_cases(4) if case.paired]
        if not cases:
            return
        images = {"a": torch.stack([case.a for case in cases]), "b": torch.stack([case.b for case in cases])}
        for direction in DIRECTIONS:
            fake = pl_module.translate(images[direction[0]].to(pl_module.device), direction).float().cpu()
            self._note(
                "inverted", direction, contrast_is_inverted(fake, center_slice(images[direction[1]])), self.patience
            )

    def state_dict(self) -> dict[str, Any]:
        """Counts and warnings so far, so that a resumed run does not repeat a warning."""
        return {
            "seen": [[*key, number] for key, number in self.seen.items()],
            "told": [list(key) for key in self.warned],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counts and warnings of the checkpoint."""
        self.seen = Counter({(sign, direction): number for sign, direction, number in state_dict["seen"]})
        self.warned = {(sign, direction) for sign, direction in state_dict["told"]}

    def _note(self, sign: str, direction: str, shown: bool, patience: int) -> None:
        key = (sign, direction)
        self.seen[key] = self.seen[key] + 1 if shown else 0
        if self.seen[key] >= patience and key not in self.warned:
            self.warned.add(key)
            log.warning(ADVICE[sign].format(direction=direction))


def output_signs(fake: Tensor, source: Tensor, target: Tensor) -> dict[str, bool]:
    """Whether one batch of outputs shows each sign.

    Args:
        fake: generator output, (B, C, H, W), in [-1, 1].
        source: the generator's input, same shape.
        target: real images of the fake's contrast, same shape, not necessarily of the same subjects.
    """
    fake, source, target = fake.float(), source.float(), target.float()
    at_limits, really_at_limits = ((image.abs() > 0.99).float().mean() for image in (fake, target))
    values = torch.stack(
        [fake.std() < 0.1 * target.std(), at_limits > 0.5 + 0.5 * really_at_limits, (fake - source).abs().mean() < 0.02]
    )
    constant, saturated, copy = values.tolist()
    return {"constant": constant, "saturated": saturated, "copy": copy}


def contrast_is_inverted(fake: Tensor, truth: Tensor) -> bool:
    """Whether bright and dark are swapped: negative correlation over pixels that are not background.

    Args:
        fake: (B, 1, H, W), in [-1, 1].
        truth: the paired real images, same shape.
    """
    shown = truth > -0.9
    pair = torch.stack([fake[shown], truth[shown]])
    return bool(torch.corrcoef(pair)[0, 1] < 0)
