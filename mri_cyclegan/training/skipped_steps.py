"""Steps that moved no weights."""

from collections import Counter
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
    """

    def __init__(self) -> None:
        self.unread: list[tuple[Step, Tensor]] = []
        self.found: list[Step] = []
        self.rows = Counter[str]()

    @property
    def num_consecutive(self) -> int:
        """Steps of one side that were skipped up to the last one read, of the side with more."""
        return max(self.rows.values(), default=0)

    def add(self, step: Step, skipped: Tensor) -> None:
        """Note one step.

        Args:
            step: the next one.
            skipped: scalar, 1 where its weights stayed.
        """
        self.unread.append((step, skipped))

    def read(self) -> None:
        """Fetch the notes from the device."""
        if not self.unread:
            return
        steps, flags = zip(*self.unread, strict=True)
        self.unread = []
        for step, skipped in zip(steps, torch.stack(flags).tolist(), strict=True):
            self.rows[step.side] = self.rows[step.side] + 1 if skipped else 0
            self.found += [step] if skipped else []

    def take(self) -> list[Step]:
        """Those found since the last time."""
        found, self.found = self.found, []
        return found


def has_finite_weights(network: nn.Module) -> bool:
    """Whether no weight is NaN or infinite; waits for the device."""
    found = [weight.isfinite().all() for weight in network.parameters()]
    return not found or bool(torch.stack(found).all())
