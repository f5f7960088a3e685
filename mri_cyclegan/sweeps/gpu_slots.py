"""One device for each job of a sweep."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

# What this process holds as long as it lives, by folder: with it the kernel frees the slot of a job that was killed.
_HELD: dict[Path, IO[str]] = {}


def num_gpus() -> int:
    """CUDA devices that this process may use."""
    import torch

    return torch.cuda.device_count()


def num_devices(devices: Any, accelerator: str, num_visible: int) -> int:
    """How many devices a value of ``trainer.devices`` asks for.

    Args:
        devices: as Lightning takes it: a number, a list of numbers, ``"0,1"``, ``"auto"``, -1 for all, or None.
        accelerator: of the trainer, such as ``auto`` or ``cpu``.
        num_visible: GPUs of this machine.

    Example:
        >>> [num_devices(value, "auto", 8) for value in (1, "2", [3], "3,", "0,1", -1, "auto")]
        [1, 2, 1, 1, 2, 8, 8]
    """
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    if devices is None or str(devices) in ("auto", "-1"):
        return 1 if accelerator == "cpu" else max(1, num_visible)
    return int(devices)


def require_one_device(config: Any, num_visible: int | None = None) -> None:
    """Refuse sweep jobs of several processes: each but the first would run the whole sweep again.

    Args:
        config: of a run.
        num_visible: GPUs to count for ``auto`` and -1; None for those of this machine.

    Raises:
        ValueError: there is more than one device, node or process.
    """
    trainer = config.trainer
    devices, accelerator = trainer.get("devices"), str(trainer.get("accelerator", "auto"))
    world_size = os.environ.get("WORLD_SIZE", "1")
    if num_visible is None:
        num_visible = num_gpus()
    if num_devices(devices, accelerator, num_visible) != 1:
        got = f"trainer.devices={devices}"
    elif int(trainer.get("num_nodes", 1)) > 1:
        got = f"trainer.num_nodes={trainer.num_nodes}"
    elif world_size.isdecimal() and int(world_size) > 1:
        got = f"{world_size} processes (WORLD_SIZE)"
    else:
        return
    raise ValueError(
        f"{got}: with -m expected one device for each job. Give trainer.devices=1, and for many jobs at a time "
        "hydra/launcher=gpus (see docs/sweeps.md). For one run on many devices start it with torchrun, without -m."
    )


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
