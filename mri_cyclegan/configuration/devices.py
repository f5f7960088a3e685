"""How many devices a run asks for, and that a sweep's job asks for one."""

import os
from collections.abc import Sequence
from typing import Any


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
