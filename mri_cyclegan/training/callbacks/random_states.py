"""Random states in the checkpoint."""

import logging
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from mri_cyclegan.distributed import all_gather

log = logging.getLogger(__name__)


class RandomStates(pl.Callback):
    """Keeps Python's, NumPy's and torch's random states in the checkpoint, and those of the GPUs.

    A training that goes on then draws what it would have drawn: dropout, the image pools, noise on the way back. Each
    of several processes has states of its own; one that was not there before goes on with draws of its own.
    """

    def __init__(self) -> None:
        self.to_restore: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors, so that a checkpoint is read without running code; of all processes."""
        numpys: Any = np.random.get_state()  # noqa: NPY002 - the state of those who still use it
        own = {
            "python": random.getstate(),
            "numpy": (numpys[0], numpys[1].tolist(), *numpys[2:]),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        return {"of_ranks": all_gather(own)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep them until training starts: what is set up before draws too."""
        self.to_restore = state_dict.get("of_ranks", [])
        if not self.to_restore:
            log.warning("The checkpoint is of an earlier version: random states are drawn anew.")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Put them back before the first batch."""
        of_ranks, self.to_restore = self.to_restore, []
        if trainer.global_rank >= len(of_ranks):
            return
        states = of_ranks[trainer.global_rank]
        random.setstate(states["python"])
        name, keys, *rest = states["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
        torch.set_rng_state(states["torch"].cpu())
        if len(states["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
