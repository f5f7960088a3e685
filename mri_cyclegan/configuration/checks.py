"""Checks before anything starts: rejects configurations that would fail later or should not run at all."""

import difflib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from mri_cyclegan.configuration.build import build
from mri_cyclegan.configuration.devices import require_one_device
from mri_cyclegan.configuration.renamed_keys import renamed_hint
from mri_cyclegan.configuration.schema import RunConfig, in_sweep
from mri_cyclegan.configuration.suggestions import did_you_mean
from mri_cyclegan.trusted_classes import import_class, is_trusted

# What a configuration may build. Hydra alone would call anything, even torch.load.
ALLOWED_TARGETS = (
    "mri_cyclegan.data.",
    "mri_cyclegan.networks.",
    "mri_cyclegan.training.",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "pytorch_lightning.strategies.",
)


def resolve_and_check(config: DictConfig) -> DictConfig:
    """Resolve a configuration to plain values and check them, so that what is checked is what will be built.

    Raises:
        ValueError: see :func:`check_config`; or a value is still an interpolation, which could change later.
    """
    _require_values(config)
    plain = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    assert isinstance(plain, DictConfig)
    for key in _references(plain, ""):
        raise ValueError(f"{key}: expected a value without ${{…}} in it.")
    check_config(plain)
    return plain


def _references(node: Any, key: str) -> Iterator[str]:
    names = list(node) if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        place = f"{key}.{name}" if key else str(name)
        if OmegaConf.is_interpolation(node, name):
            yield place
        elif isinstance(node[name], DictConfig | ListConfig):
            yield from _references(node[name], place)


def _require_values(config: DictConfig) -> None:
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ValueError(f"No value for {', '.join(missing)}. Give it on the command line: {missing[0]}=…")


def check_config(config: DictConfig) -> None:
    """Reject a configuration that would fail later or should not run at all.

    Raises:
        ValueError: a ``_target_`` outside the allowlist, a key that its constructor does not take, a missing value or
            checkpoint, parts that do not fit each other, or sweep jobs with several devices; the message names the key.
    """
    if in_sweep():
        require_one_device(config)
    _require_values(config)
    top_level = [field.name for field in fields(RunConfig)]
    for key in map(str, config):
        if key not in top_level:
            raise ValueError(f"Unknown key {key}.{_suggest(key, top_level)}")
    for key, node in _nodes_with_target(config, ""):
        _check_node(key, node)
    if config.compile not in ("auto", True, False, "cuda_graphs"):
        raise ValueError(f"compile: expected auto, true, false or cuda_graphs, got {config.compile!r}.")
    if config.resume not in (None, "auto"):
        raise ValueError(f"resume: expected auto, or null for a new run; got {config.resume!r}.")
    if config.resume and config.ckpt_path:
        raise ValueError("resume=auto resumes in run_dir, ckpt_path=… from another folder. Give one of them.")
    if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
        raise ValueError(f"ckpt_path: {config.ckpt_path} does not exist. Checkpoints lie in <run folder>/checkpoints.")
    if config.initial_model is not None and not Path(config.initial_model).expanduser().is_dir():
        raise ValueError(f"initial_model: {config.initial_model} is no folder. Give that of a finished run.")
    _check_trainer(config)
    _check_model(config)


def _check_trainer(config: DictConfig) -> None:
    """Reject trainer settings that Lightning would reject later or does not support with two optimizers."""
    trainer = config.trainer
    for theirs, ours in (("gradient_clip_val", "clip_gradients"), ("accumulate_grad_batches", "accumulate_batches")):
        if trainer.get(theirs) is not None:
            raise ValueError(f"trainer.{theirs}: without effect on two optimizers. Set optimization.{ours} instead.")
    if trainer.max_epochs is None or trainer.max_epochs < 1:
        raise ValueError(f"trainer.max_epochs: expected at least 1, got {trainer.max_epochs}.")
    if trainer.get("max_steps", -1) not in (-1, None):
        raise ValueError("trainer.max_steps: counts the steps of every optimizer. Set trainer.max_epochs instead.")
    if str(trainer.precision).startswith("16") and config.optimization.accumulate_batches > 1:
        raise ValueError(
            "trainer.precision=16-mixed scales gradients anew at each step, so they cannot be accumulated. "
            "Take trainer.precision=bf16-mixed, or optimization.accumulate_batches=1."
        )
    if trainer.precision in ("bf16-true", "16-true") and config.model.gradient_penalty is not None:
        raise ValueError(
            f"trainer.precision={trainer.precision} keeps weights in half precision, where a slope of slopes is lost. "
            "Take trainer.precision=bf16-mixed, or model.gradient_penalty=null."
        )


def _check_model(config: DictConfig) -> None:
    """Reject settings that the model's constructors reject, and data that its networks and losses do not support.

    The model is built on the meta device, without memory for its weights.
    """
    import torch

    with torch.device("meta"):
        model = build(config.model)
    _check_image_size(config.data.image_size, model)
    for loss in model.extra_losses.values():
        loss.check_match(config.data.match)


def _check_image_size(size: int, model: Any) -> None:
    helpers = [("network", network) for loss in model.extra_losses.values() for network in loss.children()]
    for kind, network in (("generator", model.generator_ab), *helpers):
        multiple = getattr(network, "size_multiple", 1)
        if size % multiple:
            raise ValueError(
                f"data.image_size={size} does not fit the {kind} {type(network).__name__}: expected a multiple of "
                f"{multiple}. Change data.image_size, or the {kind}'s depth if it has one."
            )
    smallest = getattr(model.discriminator_a, "smallest_side", 1)
    if size < smallest:
        raise ValueError(
            f"data.image_size={size} is too small for the discriminator {type(model.discriminator_a).__name__}: "
            f"expected {smallest} or more. Raise data.image_size, or lower discriminator.num_layers."
        )


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
    constructor = _allowed_class(key, target)
    parameters = inspect.signature(constructor).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in map(str, node):
        if not name.startswith("_") and name not in parameters:
            hint = renamed_hint(f"{key}.{name}") or _suggest(name, list(parameters))
            if is_trusted(target):
                hint += f" {target} takes {', '.join(parameters)}; remove other keys with ~{key}.{name}."
            raise ValueError(f"Unknown key {key}.{name}.{hint}")


def _allowed_class(key: str, target: str) -> type:
    """Import a target's class: on the allowlist, or a network, callback, logger or data module that the user named."""
    is_allowed = target.startswith(ALLOWED_TARGETS)
    if not (is_allowed or is_trusted(target)):
        raise ValueError(
            f"{key}._target_: {target} may not be built from a configuration; allowed: {', '.join(ALLOWED_TARGETS)}, "
            f"and what you name yourself, on the command line ({key}._target_={target}) or in a folder that you give "
            "as --config-dir."
        )
    try:
        found = import_class(target)
    except ValueError as error:
        raise ValueError(f"{key}._target_: {error}") from error
    # A module also exposes what it imports from other packages.
    package = target.partition(".")[0]
    if is_allowed and found.__module__.partition(".")[0] != package:
        raise ValueError(f"{key}._target_: {target} is no class of {package}, and may not be built.")
    if not is_allowed and not issubclass(found, _bases()):
        raise ValueError(
            f"{key}._target_: {target} may not be built; expected a subclass of torch.nn.Module, or of Lightning's "
            "Callback, Logger or LightningDataModule."
        )
    return found


def _bases() -> tuple[type, ...]:
    """Base classes, one of which a class of another package must have to be built."""
    from pytorch_lightning import Callback, LightningDataModule
    from pytorch_lightning.loggers import Logger
    from torch import nn

    return nn.Module, Callback, Logger, LightningDataModule


def _suggest(name: str, known: Sequence[str]) -> str:
    return did_you_mean(difflib.get_close_matches(name, known, n=3))
