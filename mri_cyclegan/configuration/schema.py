"""Schema of a run's configuration.

Constructors are the schema of the parts; the dataclass here covers the top level. Nothing heavy is imported at module
level, so that ``--help`` answers at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf

from mri_cyclegan.configuration import hydra_policy
from mri_cyclegan.configuration.devices import num_gpus

_PACKAGE = Path(__file__).parents[1]

# In a wheel the configuration lies inside the package; in a checkout beside it.
CONF_DIR = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"


@dataclass
class RunConfig:
    """Top level of a training run; a misspelled key fails when the configuration is composed."""

    name: str = MISSING
    seed: int = MISSING
    run_dir: str = MISSING
    resume: str | None = None
    ckpt_path: str | None = None
    initial_model: str | None = None
    evaluate: bool = MISSING
    compile: Any = MISSING
    license: str | None = None
    data: Any = MISSING
    generator: Any = MISSING
    discriminator: Any = MISSING
    optimization: Any = MISSING
    model: Any = MISSING
    extra_loss: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING


@dataclass
class BenchmarkConfig:
    """A measurement of speed; see ``conf/benchmark.yaml``."""

    part: str = MISSING
    output_dir: str = MISSING
    train: Any = MISSING
    loader: Any = MISSING
    translate: Any = MISSING
    startup: Any = MISSING


def register() -> None:
    """Register the schemas and resolvers with Hydra, and install the check of what it may build."""
    ConfigStore.instance().store(name="run_schema", node=RunConfig)
    ConfigStore.instance().store(name="benchmark_schema", node=BenchmarkConfig)
    OmegaConf.register_new_resolver("sweep_label", sweep_label, replace=True)
    OmegaConf.register_new_resolver("num_channels", num_channels, replace=True)
    OmegaConf.register_new_resolver("num_gpus", num_gpus, replace=True)
    hydra_policy.use_checked_loader()


def num_channels(num_adjacent_slices: int) -> int:
    """Number of channels of a slice with its neighbors on both sides."""
    return 2 * num_adjacent_slices + 1


def sweep_label(overrides: str) -> str:
    """Folder name of a sweep job, made from its overrides.

    Has no "=" and no ",", so that its path can be given to Hydra without quotes; drawn numbers have four digits.

    Args:
        overrides: ``key=value`` for each key that varies over the sweep, one per line.
    """
    parts = []
    for override in overrides.splitlines():
        key, _, value = override.lstrip("+~").partition("=")
        if re.fullmatch(r"-?\d+\.\d{5,}(e-?\d+)?", value):  # drawn by a sweeper, not typed
            value = f"{float(value):.4g}"
        value = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in value)
        parts.append(f"{key.partition('@')[0].split('.')[-1]}-{value}")
    return "_".join(parts)[:100] or "job"


def keys_of_overrides(overrides: Sequence[str]) -> dict[str, bool]:
    """Map the key of each override, without "+" and "~", to whether it varies over the sweep.

    Args:
        overrides: as typed, such as ``+experiment=demo`` and ``model.lambda_cycle=5,10``.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.key_or_group: override.is_sweep_override() for override in parsed}


def in_sweep() -> bool:
    """Whether this is a job of a sweep (``-m``)."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def compose_training(overrides: Sequence[str]) -> DictConfig:
    """Compose a training configuration from overrides, within another Hydra command."""
    return hydra.compose("train", overrides=list(overrides))
