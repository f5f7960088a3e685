"""Record of skipped optimizer steps."""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """One step of an optimizer.

    Attributes:
        epoch: 0-based.
        batch: index in the epoch, 0-based; with accumulated gradients, the last batch of the group.
        side: ``"generators"`` or ``"discriminators"``.
    """

    epoch: int
    batch: int
    side: str


class SkippedSteps:
    """Records which steps were skipped for a non-finite gradient, without waiting for the device.

    The flags of skipped steps stay on the gradients' device until :meth:`read` fetches them all at once.

    Attributes:
        unread: steps whose flags have not been fetched.
        found: skipped steps that were fetched, until :meth:`take` returns them.
        rows: consecutive skipped steps of each side, up to the last one fetched.
    """

    def __init__(self) -> None:
        self.unread: list[tuple[Step, Tensor]] = []
        self.found: list[Step] = []
        self.rows = Counter[str]()

    @property
    def num_consecutive(self) -> int:
        """Consecutive skipped steps up to the last one fetched, of the side with more."""
        return max(self.rows.values(), default=0)

    def add(self, step: Step, skipped: Tensor) -> None:
        """Record one step.

        Args:
            step: steps must be added in order.
            skipped: scalar, 1 if the step was skipped.
        """
        self.unread.append((step, skipped))

    def read(self) -> None:
        """Fetch the flags from the device."""
        if not self.unread:
            return
        steps, flags = zip(*self.unread, strict=True)
        self.unread = []
        for step, skipped in zip(steps, torch.stack(flags).tolist(), strict=True):
            self.rows[step.side] = self.rows[step.side] + 1 if skipped else 0
            self.found += [step] if skipped else []

    def take(self) -> list[Step]:
        """Return the skipped steps found since the last call."""
        found, self.found = self.found, []
        return found


def has_finite_weights(network: nn.Module) -> bool:
    """Whether no weight is NaN or infinite; waits for the device."""
    found = [weight.isfinite().all() for weight in network.parameters()]
    return not found or bool(torch.stack(found).all())
