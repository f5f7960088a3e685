"""Mean losses of an epoch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LossMeans:
    """Accumulates losses on their device, without synchronization; non-finite values are left out."""

    def __init__(self) -> None:
        self.num_batches = 0
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None
        self.counts: Tensor | None = None

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add the losses of one batch.

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
        """Return the means since the last call and reset them; NaN if no value of a loss was finite."""
        if self.sums is None or self.counts is None:
            return {}
        means = dict(zip(self.names, self.sums / self.counts, strict=True))
        self.num_batches, self.sums, self.counts = 0, None, None
        return means

    def state_dict(self) -> dict[str, Any]:
        """Sums so far, for a checkpoint within an epoch."""
        return {
            "num_batches": self.num_batches,
            "names": list(self.names),
            "sums": self.sums,
            "counts": self.counts,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the sums from a checkpoint."""
        self.num_batches, self.names = state_dict["num_batches"], tuple(state_dict["names"])
        self.sums, self.counts = state_dict["sums"], state_dict["counts"]
