"""Where a run and its figures come from."""

import platform
import shlex
import sys
from importlib.metadata import version
from typing import Any

import torch

PACKAGES = (
    "mri-cyclegan",
    "torch",
    "pytorch-lightning",
    "monai",
    "hydra-core",
    "torchmetrics",
    "numpy",
    "scipy",
    "scikit-image",
    "nibabel",
)


def provenance(device: torch.device | None = None) -> dict[str, Any]:
    """Code, command, versions and machine of this process, plain JSON values.

    Args:
        device: that networks ran on; None where none did.
    """
    found = {
        "code_version": version("mri-cyclegan"),
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in PACKAGES},
        "num_threads": torch.get_num_threads(),
    }
    if device is not None:
        found["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return found
