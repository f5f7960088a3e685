"""How many devices a run requests, and the check that a sweep job requests only one."""

import os
from collections.abc import Sequence
from typing import Any


def num_gpus() -> int:
    """Number of CUDA devices that this process may use."""
    import torch

    return torch.cuda.device_count()


def num_devices(devices: Any, accelerator: str, num_visible: int) -> int:
    """Number of devices that a value of ``trainer.devices`` requests.

    Args:
        devices: as Lightning takes it: a number, a list of numbers, ``"0,1"``, ``"auto"``, -1 for all, or None.
        accelerator: the trainer's, such as ``auto`` or ``cpu``.
        num_visible: number of GPUs of this machine.

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
    """Reject sweep jobs with several processes: every process but the first would run the whole sweep again.

    Args:
        config: run configuration.
        num_visible: number of GPUs that ``auto`` and -1 stand for; None for those of this machine.

    Raises:
        ValueError: the job has more than one device, node or process.
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
