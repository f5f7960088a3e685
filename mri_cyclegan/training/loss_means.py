"""Mean losses of an epoch."""

from collections.abc import Mapping

import torch
from torch import Tensor


class LossMeans:
    """Adds up losses where they are, so that nobody waits for the device."""

    def __init__(self) -> None:
        self.num_batches = 0
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Count one batch.

        Args:
            losses: scalars by name, detached; the same names throughout an epoch.
        """
        values = torch.stack([value.float() for value in losses.values()])
        self.names = tuple(losses)
        self.sums = values if self.sums is None else self.sums + values
        self.num_batches += 1

    def take(self) -> dict[str, Tensor]:
        """Means over the batches since the last time, which are then forgotten."""
        if self.sums is None:
            return {}
        means = dict(zip(self.names, self.sums / self.num_batches, strict=True))
        self.num_batches, self.sums = 0, None
        return means
