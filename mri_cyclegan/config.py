"""Schema of a run and checks of its configuration.

Constructors are the schema of the parts; the dataclass here covers the top level. Nothing heavy is imported at module
level, so that ``--help`` answers at once.
"""

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf

_PACKAGE = Path(__file__).parent

# In a wheel the configuration lies inside the package; in a checkout beside it.
CONF_DIR = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"

# What a configuration may build. Hydra by itself would call anything, torch.load included.
ALLOWED_TARGETS = (
    "mri_cyclegan.data.",
    "mri_cyclegan.networks.",
    "mri_cyclegan.training.",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
)


@dataclass
class RunConfig:
    """Top level of a training run; a misspelt key fails when the configuration is composed."""

    name: str = MISSING
    seed: int = MISSING
    run_dir: str = MISSING
    ckpt_path: str | None = None
    evaluate: bool = MISSING
    license: str | None = None
    data: Any = MISSING
    generator: Any = MISSING
    discriminator: Any = MISSING
    model: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING


@dataclass
class BenchmarkConfig:
    """A measurement of speed; see ``conf/benchmark.yaml``."""

    part: str = MISSING
    output_dir: str = MISSING
    image_size: int = MISSING
    batch_size: int = MISSING
    num_workers: list[int] = MISSING
    num_slices: int = MISSING
    repeats: int = MISSING
    device_step_ms: list[float] = MISSING


def register() -> None:
    """Tell Hydra about the schemas and the resolvers."""
    ConfigStore.instance().store(name="run_schema", node=RunConfig)
    ConfigStore.instance().store(name="benchmark_schema", node=BenchmarkConfig)
    OmegaConf.register_new_resolver("sweep_label", sweep_label, replace=True)
    OmegaConf.register_new_resolver("num_channels", num_channels, replace=True)


def num_channels(num_adjacent_slices: int) -> int:
    """Channels of a slice with its neighbours on either side."""
    return 2 * num_adjacent_slices + 1


def sweep_label(overrides: str) -> str:
    """Overrides of one sweep job as a folder name: those that vary over the sweep, by the command line.

    No "=" and no "," in it, so that a path in it can be given to Hydra without quotes.

    Args:
        overrides: ``key=value`` of the job, joined by commas.
    """
    varying = {word.partition("=")[0] for word in sys.argv[1:] if re.search(r",|\b(range|choice|glob)\(", word)}
    parts = []
    for override in overrides.split(","):
        key, _, value = override.partition("=")
        if key in varying:
            value = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in value)
            parts.append(f"{key.split('.')[-1]}-{value}")
    return "_".join(parts)[:100] or "job"


def check_config(config: DictConfig) -> None:
    """Refuse what would fail later or should not run at all.

    Raises:
        ValueError: a ``_target_`` outside the allowlist, a key that its constructor does not take, a missing value or
            checkpoint, or parts that do not fit each other; the message names the key.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ValueError(f"No value for {', '.join(missing)}. Give it on the command line: {missing[0]}=…")
    top_level = [field.name for field in fields(RunConfig)]
    for key in map(str, config):
        if key not in top_level:
            raise ValueError(f"Unknown key {key}.{_near(key, top_level)}")
    for key, node in _nodes_with_target(config, ""):
        _check_node(key, node)
    if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
        raise ValueError(f"ckpt_path: {config.ckpt_path} does not exist. Checkpoints lie in <run folder>/checkpoints.")
    _check_image_size(config)


def _check_image_size(config: DictConfig) -> None:
    """Refuse an image size that a network cannot take; networks are built without memory for their weights."""
    import torch

    with torch.device("meta"):
        multiple = getattr(build(config.generator), "size_multiple", 1)
        smallest = getattr(build(config.discriminator), "smallest_side", 1)
    size = config.data.image_size
    if size % multiple:
        raise ValueError(
            f"data.image_size={size} does not fit the generator {_class_name(config.generator)}: expected a multiple "
            f"of {multiple}. Change data.image_size, or the generator's depth if it has one."
        )
    if size < smallest:
        raise ValueError(
            f"data.image_size={size} is too small for the discriminator {_class_name(config.discriminator)}: expected "
            f"{smallest} or more. Raise data.image_size, or lower discriminator.num_layers."
        )


def _class_name(node: DictConfig) -> str:
    return node._target_.rpartition(".")[2]


def build(node: DictConfig, **arguments: Any) -> Any:
    """Build what a checked node describes.

    Raises:
        ValueError: its constructor refuses a value; Hydra alone would wrap the message in its own.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise


def _nodes_with_target(node: Any, key: str) -> Iterator[tuple[str, DictConfig]]:
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield key, node
        for name in map(str, node):
            yield from _nodes_with_target(node[name], f"{key}.{name}" if key else name)
    elif isinstance(node, ListConfig):
        for index, item in enumerate(node):
            yield from _nodes_with_target(item, f"{key}[{index}]")


def _check_node(key: str, node: DictConfig) -> None:
    target = str(node["_target_"])
    if not target.startswith(ALLOWED_TARGETS):
        raise ValueError(
            f"{key}._target_: {target} may not be built from a configuration; allowed: {', '.join(ALLOWED_TARGETS)}."
        )
    module, _, name = target.rpartition(".")
    try:
        constructor = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{key}._target_: {target} does not exist ({error}).") from error
    parameters = inspect.signature(constructor).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in map(str, node):
        if not name.startswith("_") and name not in parameters:
            raise ValueError(f"Unknown key {key}.{name}.{_near(name, list(parameters))}")


def _near(name: str, known: Sequence[str]) -> str:
    return _did_you_mean(difflib.get_close_matches(name, known, n=3))


def _did_you_mean(matches: Sequence[str]) -> str:
    return f" Did you mean {' or '.join(matches)}?" if matches else ""


def explain_unknown_keys(overrides: Sequence[str], config_name: str = "train") -> list[str]:
    """One line for each command-line key that does not exist, with the keys it resembles.

    Args:
        overrides: as typed, such as ``model.lambda_cyle=5``.
        config_name: which configuration they were meant for.
    """
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose(config_name)
    known = sorted(_keys(config, ""))
    groups = {path.parent.name for path in CONF_DIR.glob("*/*.yaml")}
    lines = []
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~").partition("@")[0]
        if "=" not in override or key.startswith(("hydra", "-")) or key in known or key in groups:
            continue
        by_name = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
        matches = by_name[:3] or difflib.get_close_matches(key, [*known, *groups], n=3, cutoff=0.8)
        lines.append(f"Unknown key {key}.{_did_you_mean(matches)}")
    return lines


def _keys(node: DictConfig, prefix: str) -> Iterator[str]:
    for name in map(str, node):
        key = f"{prefix}{name}"
        yield key
        if isinstance(node._get_node(name), DictConfig) and not OmegaConf.is_missing(node, name):
            child = node._get_node(name)
            assert isinstance(child, DictConfig)
            if not child._is_none():
                yield from _keys(child, f"{key}.")
