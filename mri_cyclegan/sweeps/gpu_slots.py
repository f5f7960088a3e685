"""A GPU of its own for each job of a sweep."""

import fcntl
import os
from pathlib import Path
from typing import IO

# What this process holds as long as it lives, by folder: with it the kernel frees the slot of a job that was killed.
_HELD: dict[Path, IO[str]] = {}


def take_gpu(folder: Path, num_visible: int) -> int | None:
    """Give this process a GPU of its own for the rest of its life, the only one that it sees from now on.

    Processes are counted by slots, files that each locks: slot k has GPU k modulo their number. With no more processes
    than GPUs none is shared, whatever the order in which jobs end. Must come before anything starts CUDA.

    Args:
        folder: of the sweep; the slots lie in it.
        num_visible: GPUs that this process sees.

    Returns:
        Which of them it has now; None if it had one already, or there is none.
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
