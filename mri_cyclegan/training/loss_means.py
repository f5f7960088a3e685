"""Mean losses of an epoch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LossMeans:
    """Adds up losses where they are, so that nobody waits for the device. What is not finite does not count."""

    def __init__(self) -> None:
        self.num_batches = 0
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None
        self.counts: Tensor | None = None

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Count one batch.

        Args:
            losses: scalars by name, detached; the same names throughout an epoch.
        """
        values = torch.stack([value.float() for value in losses.values()])
        finite = values.isfinite()
        values, counts = torch.where(finite, values, 0), finite.float()
        self.names = tuple(losses)
        self.sums = values if self.sums is None else self.sums.to(values) + values
        self.counts = counts if self.counts is None else self.counts.to(counts) + counts
        self.num_batches += 1

    def take(self) -> dict[str, Tensor]:
        """Means over the batches since the last time, which are then forgotten; NaN where no value was finite."""
        if self.sums is None or self.counts is None:
            return {}
        means = dict(zip(self.names, self.sums / self.counts, strict=True))
        self.num_batches, self.sums, self.counts = 0, None, None
        return means

    def state_dict(self) -> dict[str, Any]:
        """What was added up so far, for a checkpoint within an epoch."""
        return {
            "num_batches": self.num_batches,
            "names": list(self.names),
            "sums": self.sums,
            "counts": self.counts,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on adding."""
        self.num_batches, self.names = state_dict["num_batches"], tuple(state_dict["names"])
        self.sums, self.counts = state_dict["sums"], state_dict["counts"]
