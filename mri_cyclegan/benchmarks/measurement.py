"""Timing and machine description shared by the benchmarks."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import Any

import torch

# Side of the square matrices whose product gives a device's peak rate.
MATRIX_SIDE_CPU, MATRIX_SIDE_GPU = 1024, 8192


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest value."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def median_and_range(of: Mapping[str, float], num_decimals: int) -> str:
    """A summary as text: median (smallest to largest)."""
    median_of, low, high = (f"{of[key]:.{num_decimals}f}" for key in ("median", "min", "max"))
    return f"{median_of} ({low} to {high})"


def cpu_description(of_machine: Mapping[str, Any]) -> str:
    """Cores and threads as text; see :func:`machine`."""
    return f"{of_machine['num_cores']} cores, {of_machine['num_threads']} threads"


def take_turns(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each candidate once per round and collect the results; temporary load on the machine affects all of them."""
    results: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            results[name].append(candidate())
    return results


def synchronize(device: torch.device) -> None:
    """Wait until a device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds that a function takes, including its work on the device."""
    synchronize(device)
    start = perf_counter()
    work()
    synchronize(device)
    return perf_counter() - start


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Peak rate of a device: floating-point operations per second of a large matrix product, the best of six."""
    side = MATRIX_SIDE_GPU if device.type == "cuda" else MATRIX_SIDE_CPU
    one, other = torch.rand(2, side, side, device=device).to(dtype)
    best_s = min(seconds(lambda: one @ other, device) for _ in range(6))
    return 2 * side**3 / best_s


def machine(device: torch.device | None = None) -> dict[str, Any]:
    """Machine and versions that the figures were measured with."""
    names = ("mri-cyclegan", "torch", "pytorch-lightning", "monai", "numpy")
    return {
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device and device.type == "cuda" else "cpu",
        "num_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "num_threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in names},
    }
