"""Compilation of networks with torch.compile."""

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

import torch
from torch import nn

log = logging.getLogger(__name__)

# With fewer batches, training ends before compiled kernels save the minutes that compilation takes.
# An estimate, not yet measured on a GPU.
MIN_BATCHES = 5_000


def compile_networks(
    networks: Iterable[nn.Module], mode: str | bool, device: torch.device, num_batches: float
) -> str | bool:
    """Compile networks in place, each at its first forward pass; parameter names do not change.

    Args:
        networks: to compile; each new input shape triggers a recompilation.
        mode: ``True``; ``"cuda_graphs"``, which also replays a pass as one launch and pays off for small batches;
            ``False``; or ``"auto"``: compile on a GPU if the run is long enough.
        device: device that trains.
        num_batches: number of batches in the whole run.

    Returns:
        ``mode``, with ``"auto"`` resolved to True or False.
    """
    if mode == "auto":
        reason = _reason_not_to_compile(device, num_batches)
        if reason:
            log.info("Networks are not compiled: %s. compile=true compiles them anyway.", reason)
        mode = not reason
    for network in networks if mode else ():
        # No dynamic shapes: a generator sees one or two batch sizes, and static shapes are faster.
        network.compile(dynamic=False, mode="reduce-overhead" if mode == "cuda_graphs" else None)
    return mode


def _reason_not_to_compile(device: torch.device, num_batches: float) -> str:
    if device.type != "cuda":
        return f"it saves more time than it takes only on an NVIDIA GPU, and this is {device.type}"
    if num_batches < MIN_BATCHES:
        return f"{num_batches:.0f} batches are too few for it to pay"
    return "" if find_spec("triton") else "Triton, which makes the kernels, is not installed"


def force_eager(compiled: str | bool) -> AbstractContextManager[None]:
    """Run compiled networks in eager mode within the context.

    Args:
        compiled: return value of :func:`compile_networks`; if False, ``torch._dynamo`` is not imported, which takes
            seconds.
    """
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()
