"""Per-rank training state in the checkpoint."""

import logging
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from mri_cyclegan.distributed import all_gather

log = logging.getLogger(__name__)

POOLS = ("pool_a", "pool_b")


class RankStates(pl.Callback):
    """Saves each rank's random states, image pools and loss means of an unfinished epoch in the checkpoint.

    Dropout, image pools and cycle noise of a resumed run then draw the same random numbers as without the interruption.
    A rank that the checkpoint does not have keeps its own random state and gets the pools of rank 0.
    """

    def __init__(self) -> None:
        self.to_restore: dict[str, Any] = {}

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the states of all ranks, as plain data and tensors, so that loading a checkpoint runs no code."""
        pools = {name: getattr(pl_module, name).images.cpu() for name in POOLS}
        own = {"loss_means": pl_module.loss_logger.means.state_dict(), "pools": pools, "random": random_states()}
        checkpoint["rank_states"] = all_gather(own)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restore all but the random states, which wait for the first batch, since setup draws random numbers too."""
        state = rank_state(checkpoint, trainer.global_rank)
        load_pools(pl_module, state)
        if "loss_means" in state:
            pl_module.loss_logger.means.load_state_dict(state["loss_means"])
        self.to_restore = state.get("random", {})
        if not self.to_restore and trainer.global_rank == 0:
            log.warning("The checkpoint has no random states: new ones are drawn.")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Restore the random states before the first batch."""
        states, self.to_restore = self.to_restore, {}
        if states:
            set_random_states(states)


def rank_state(checkpoint: dict[str, Any], rank: int) -> dict[str, Any]:
    """State of one rank in a checkpoint; empty if it has none."""
    states = checkpoint.get("rank_states", [])
    return states[rank] if rank < len(states) else {}


def load_pools(model: Any, state: dict[str, Any]) -> None:
    """Load the image pools of a rank into a model.

    Args:
        model: the CycleGAN.
        state: from :func:`rank_state`; if it has no pools, the model's stay.
    """
    for name, images in state.get("pools", {}).items():
        pool = getattr(model, name)
        pool.images = images.to(pool.images)


def random_states() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's generators, GPUs included."""
    numpys: Any = np.random.get_state()  # noqa: NPY002 - some libraries still use the global generator
    return {
        "python": random.getstate(),
        "numpy": (numpys[0], numpys[1].tolist(), *numpys[2:]),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restore what :func:`random_states` returned; GPU states only if the number of GPUs is the same."""
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
