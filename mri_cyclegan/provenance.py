"""Provenance of a run and its figures: code, command, versions and machine."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGE = Path(__file__).parent

# Where Linux shows the version of the loaded driver.
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

GIT_TIMEOUT_S = 5.0

# Variables that point Git at another repository than a folder's own; that repository's hooks set them.
GIT_REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
)


def provenance(device: torch.device | None = None) -> dict[str, Any]:
    """Code, command, versions and machine of this process, as plain JSON values.

    Args:
        device: device that networks run on; None if none do.
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


def command_line(arguments: Sequence[str]) -> str:
    """The command as one can type it again, without the folder that this program is installed in.

    Args:
        arguments: as in ``sys.argv``.

    Example:
        >>> command_line([str(PACKAGE / "train.py"), "+experiment=demo", "data.root=my scans"])
        "python -m mri_cyclegan.train +experiment=demo 'data.root=my scans'"
        >>> command_line(["mri-cyclegan train", "seed=1"])
        'mri-cyclegan train seed=1'
    """
    script = Path(arguments[0])
    if script.is_relative_to(PACKAGE):
        module = script.relative_to(PACKAGE.parent).with_suffix("")
        program = f"python -m {'.'.join(module.parts)}"
    elif arguments[0].startswith("mri-cyclegan "):  # __main__.py joins program and command in one argument
        program = arguments[0]
    else:
        program = shlex.quote(script.name if script.is_absolute() else arguments[0])
    return " ".join([program, *map(shlex.quote, arguments[1:])])


@cache
def _code() -> dict[str, Any] | None:
    """The commit at the first call: a training of days evaluates with the code that it was started with."""
    return git_revision(PACKAGE.resolve())


def _gpu_versions() -> dict[str, Any]:
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": GPU_DRIVER.read_text(encoding="ascii").strip() if GPU_DRIVER.is_file() else None,
    }


def git_revision(package: Path) -> dict[str, Any] | None:
    """Commit of the work tree that tracks a package's own files.

    Args:
        package: folder with an ``__init__.py``.

    Returns:
        ``revision``, the commit; ``dirty``, whether a tracked file of the work tree has changed since or the package
        has untracked files, or None if that takes too long. None instead of both if the package is not tracked, as when
        installed (even within a repository's folder), or if Git is missing or refuses.
    """
    if _git(package, "ls-files", "--error-unmatch", "--", "__init__.py") is None:
        return None
    revision = _git(package, "rev-parse", "--verify", "HEAD")
    if revision is None:
        return None
    changed = _git(package, "status", "--porcelain", "--untracked-files=no")
    added = _git(package, "ls-files", "--others", "--exclude-standard", "--exclude=__pycache__")
    dirty = None if changed is None or added is None else bool(changed or added)
    return {"revision": revision.decode("ascii").strip(), "dirty": dirty}


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Output of a Git command; None if Git is missing, fails or takes too long."""
    environment = {name: value for name, value in os.environ.items() if name not in GIT_REPOSITORY_VARIABLES}
    try:
        done = subprocess.run(
            # Start no file-system monitor, and take no lock that could block a commit elsewhere.
            ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
