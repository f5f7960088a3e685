"""Steps that moved no weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """One step of an optimizer.

    Attributes:
        epoch: from 0.
        batch: of the epoch, from 0; with accumulated gradients the last one of its group.
        side: ``"generators"`` or ``"discriminators"``.
    """

    epoch: int
    batch: int
    side: str


class SkippedSteps:
    """Remembers which steps were skipped since a gradient was not finite, without waiting for the device.

    Whether a step is skipped is decided and noted where the gradients are; :meth:`read` fetches all notes at once.

    Attributes:
        found: steps that were skipped, of those read; whoever has told them takes them out.
        in_a_row: batches up to the last one read that had a skipped step.
    """

    def __init__(self) -> None:
        self.unread: list[tuple[Step, Tensor]] = []
        self.found: list[Step] = []
        self.in_a_row = 0

    def add(self, step: Step, skipped: Tensor) -> None:
        """Note one step.

        Args:
            step: the next one.
            skipped: scalar, 1 where its weights stayed.
        """
        self.unread.append((step, skipped))

    def read(self) -> None:
        """Fetch the notes of whole batches from the device."""
        if not self.unread:
            return
        flags = torch.stack([skipped for _, skipped in self.unread]).tolist()
        of_batch: dict[tuple[int, int], list[Step]] = {}
        for (step, _), skipped in zip(self.unread, flags, strict=True):
            of_batch.setdefault((step.epoch, step.batch), []).extend([step] if skipped else [])
        self.unread = []
        for steps in of_batch.values():
            self.in_a_row = self.in_a_row + 1 if steps else 0
            self.found += steps

    def take(self) -> list[Step]:
        """Those found since the last time."""
        found, self.found = self.found, []
        return found


def has_finite_weights(network: nn.Module) -> bool:
    """Whether no weight is NaN or infinite; waits for the device."""
    found = [weight.isfinite().all() for weight in network.parameters()]
    return not found or bool(torch.stack(found).all())
