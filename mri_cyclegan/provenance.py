"""Where a run and its figures come from."""

import platform
import shlex
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mri_cyclegan.git_revision import git_revision

PACKAGE = Path(__file__).parent

# Where Linux tells the version of the loaded driver.
GPU_DRIVER = Path("/sys/module/nvidia/version")

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
        device: that networks run on; None where none does.
    """
    found = {
        "code_version": version("mri-cyclegan"),
        "git": _code(),
        "command": command_line(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in PACKAGES},
        "num_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    if device is None:
        return found
    on_gpu = device.type == "cuda"
    return found | {
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
        "gpu": _gpu_versions() if on_gpu else None,
        "determinism": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        },
    }


def command_line(words: Sequence[str]) -> str:
    """The command as one can type it again, without the folders that this program is installed in.

    Args:
        words: as in ``sys.argv``.

    Example:
        >>> command_line([str(PACKAGE / "train.py"), "+experiment=demo", "data.root=my scans"])
        "python -m mri_cyclegan.train +experiment=demo 'data.root=my scans'"
        >>> command_line(["mri-cyclegan train", "seed=1"])
        'mri-cyclegan train seed=1'
    """
    script = Path(words[0])
    if script.is_relative_to(PACKAGE):
        module = script.relative_to(PACKAGE.parent).with_suffix("")
        program = f"python -m {'.'.join(module.parts)}"
    elif words[0].startswith("mri-cyclegan "):  # both words stand in one, see __main__.py
        program = words[0]
    else:
        program = shlex.quote(script.name if script.is_absolute() else words[0])
    return " ".join([program, *map(shlex.quote, words[1:])])


@cache
def _code() -> dict[str, Any] | None:
    """The commit of the first question: a training of days evaluates with the code that it has started with."""
    return git_revision(PACKAGE.resolve())


def _gpu_versions() -> dict[str, Any]:
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": GPU_DRIVER.read_text(encoding="ascii").strip() if GPU_DRIVER.is_file() else None,
    }
