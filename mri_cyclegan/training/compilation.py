"""Networks compiled by torch.compile."""

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

import torch
from torch import nn

log = logging.getLogger(__name__)

# Below so many batches a training is over before compiled kernels have earned back the minutes that it takes to make
# them. An estimate: nothing was measured on a GPU yet.
MIN_BATCHES = 5_000


def compile_networks(
    networks: Iterable[nn.Module], mode: str | bool, device: torch.device, num_batches: float
) -> str | bool:
    """Compile networks in place, each on its first pass; names of weights stay as they are.

    Args:
        networks: to compile; shapes that they have not seen are compiled anew.
        mode: ``True``; ``"cuda_graphs"``, which also replays a pass as one launch and pays for small batches;
            ``False``; or ``"auto"``: on a GPU, for a training long enough.
        device: that trains.
        num_batches: of the whole training.

    Returns:
        The mode that ``"auto"`` came to, or the mode itself.
    """
    if mode == "auto":
        reason = _why_not(device, num_batches)
        if reason:
            log.info("Networks are not compiled: %s. compile=true does it all the same.", reason)
        mode = not reason
    for network in networks if mode else ():
        # No dynamic shapes: a generator sees batches of one or two sizes, and is faster if it knows them.
        network.compile(dynamic=False, mode="reduce-overhead" if mode == "cuda_graphs" else None)
    return mode


def _why_not(device: torch.device, num_batches: float) -> str:
    if device.type != "cuda":
        return f"only on a GPU of NVIDIA does it save more time than it takes, and this is {device.type}"
    if num_batches < MIN_BATCHES:
        return f"{num_batches:.0f} batches are over before it pays"
    return "" if find_spec("triton") else "Triton, which makes the kernels, is not installed"


def eager(compiled: str | bool) -> AbstractContextManager[None]:
    """Within it, compiled networks run as if they were not.

    Args:
        compiled: of :func:`compile_networks`. Without it nothing is imported: that would take seconds.
    """
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()
