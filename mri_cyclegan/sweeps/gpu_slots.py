"""Gives each job of a sweep its own GPU."""

import fcntl
import os
from pathlib import Path
from typing import IO

# Locks held for the lifetime of this process, by sweep folder: the kernel releases them even if the job is killed.
_HELD: dict[Path, IO[str]] = {}


def take_gpu(folder: Path, num_visible: int) -> int | None:
    """Reserve a GPU for this process until it exits, and hide the other GPUs from it.

    Each process locks one slot file; slot k uses GPU k modulo the number of GPUs. With no more processes than GPUs, no
    GPU is shared, in whatever order jobs end. Call it before CUDA is initialized.

    Args:
        folder: sweep folder, which holds the slot files.
        num_visible: GPUs that this process sees.

    Returns:
        Index of the GPU among those visible; None if the process already has one or there is none.
    """
    if not num_visible or folder in _HELD:
        return None
    slots = folder / ".gpus"
    slots.mkdir(parents=True, exist_ok=True)
    number = 0
    while not _lock(slots / str(number), folder):
        number += 1
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    gpu = number % num_visible
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[gpu] if visible else str(gpu)
    return gpu


def _lock(path: Path, folder: Path) -> bool:
    file = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _HELD[folder] = file
    return True
