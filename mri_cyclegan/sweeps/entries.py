"""Runs of a sweep, as they lie in their folders."""

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.evaluation.comparison import read_evaluation
from mri_cyclegan.evaluation.plain_yaml import read_yaml
from mri_cyclegan.evaluation.protocol import metrics_in

# What a sweep is judged by, since test subjects must not choose: of the best epoch, on the networks' own grid.
VALIDATION = "val_ssim"

# What a training took, in the order of the table; see mri_cyclegan.training.callbacks.resources.
RESOURCES = ("training_s", "batches_per_s", "peak_gpu_memory_bytes", "peak_memory_bytes")


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        folder: of the run.
        overrides: keys of its command line to their values, ``~`` for what was taken away.
        typed: the same keys to the overrides as they were typed, such as ``+experiment=demo``.
        metrics: such as ``ssim`` (mean of all directions), ``ssim_ab``, ``ssim_ba``, over the foreground; ``val_ssim``.
        images: what it was evaluated on, None for a run that was not; only equal ones can be ranked.
        validated_on: likewise, of its validation.
        chose_epoch: those of the evaluated subjects on whom its best epoch was chosen.
        resources: such as ``training_s``, as far as they were measured.
    """

    folder: Path
    overrides: dict[str, str]
    typed: dict[str, str]
    metrics: dict[str, float]
    images: "Images | None"
    validated_on: str | None = None
    resources: dict[str, float] = field(default_factory=dict)
    chose_epoch: tuple[str, ...] = ()


class Images(NamedTuple):
    """What a run was evaluated on.

    Attributes:
        protocol_version: that it was evaluated by.
        part: of the data set.
        resampled_targets: whether targets were resampled.
        scans: subject, session, scan, the hashes of its files, and whether they were registered.
    """

    protocol_version: int
    part: str
    resampled_targets: bool
    scans: tuple[tuple[str, ...], ...]


def read_entry(folder: Path, evaluated: bool) -> Entry:
    """What is known of a run.

    Args:
        folder: of the run.
        evaluated: whether it must have been.

    Raises:
        ValueError: it was not, or a file of it cannot be read.
    """
    metrics: dict[str, float] = {}
    images: Images | None = None
    chose_epoch: tuple[str, ...] = ()
    if evaluated or (folder / "evaluation" / "metrics.json").is_file():
        try:
            metrics, images, chose_epoch = _evaluation(folder)
        except ValueError:
            if evaluated:
                raise
    validation = _numbers(folder / "validation.json", ("ssim",))
    if validation:
        metrics[VALIDATION] = validation["ssim"]
    typed = {override.lstrip("+~").partition("=")[0]: override for override in command_line(folder)}
    overrides = {
        key: "~" if override.startswith("~") else override.partition("=")[2] for key, override in typed.items()
    }
    resources = _numbers(folder / "resources.json", RESOURCES)
    return Entry(folder, overrides, typed, metrics, images, _validated_on(folder), resources, chose_epoch)


def _evaluation(folder: Path) -> tuple[dict[str, float], Images, tuple[str, ...]]:
    content = read_evaluation(folder / "evaluation")
    _require_its_model(folder, content["provenance"].get("model_sha256"))
    metrics: dict[str, float] = {}
    for name in metrics_in(content):
        means = {
            direction: methods[content["method"]]["foreground"][name]["mean"]
            for direction, methods in content["summary"].items()
            if methods
        }
        metrics |= {f"{name}_{direction}": value for direction, value in means.items()}
        if means:
            metrics[name] = sum(means.values()) / len(means)
    return metrics, _images(content), tuple(content.get("chose_epoch", ()))


def _numbers(path: Path, names: Sequence[str]) -> dict[str, float]:
    """Those of a file that are numbers; none of a file that is not there.

    Raises:
        ValueError: it cannot be read.
    """
    content = _json(path)
    found = {name: content.get(name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    }


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _validated_on(folder: Path) -> str | None:
    images = _json(folder / "validation.json").get("images")
    return None if images is None else str(images)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read ({error!r}). Copy the run again.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected names and values, got {content!r}. Copy the run again.")
    return content


def _require_its_model(folder: Path, evaluated: Any) -> None:
    """Refuse an evaluation of another model than the folder holds now."""
    if isinstance(evaluated, list):
        raise ValueError(f"{folder}: evaluated as an ensemble with other runs. Evaluate it alone.")
    path = folder / "model" / "model.json"
    try:
        generators = json.loads(path.read_text(encoding="utf-8"))["generators"]
        hashes = {direction: generators[direction]["sha256"] for direction in DIRECTIONS}
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read ({error!r}). Copy the run again.") from error
    if hashes != evaluated:
        raise ValueError(f"{folder}: evaluated before its model changed. Evaluate it again.")


def _images(content: Mapping[str, Any]) -> Images:
    scans = [
        (
            one["subject"],
            one["session"],
            one.get("scan", ""),
            *(f"{k}={v}" for k, v in sorted(one.get("hashes", {}).items())),
            *(["registered"] if (one.get("pairing") or {}).get("registration") else []),
        )
        for one in content["subjects"]
    ]
    return Images(content["protocol_version"], content["part"], content["resampled_targets"], tuple(sorted(scans)))


def command_line(folder: Path) -> list[str]:
    """Words that changed the configuration, as Hydra keeps them."""
    path = folder / ".hydra" / "overrides.yaml"
    if not path.is_file():
        return []
    try:
        overrides = read_yaml(path) or []
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}). Copy the run again.") from error
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        raise ValueError(
            f"{path}: expected a list of overrides, got {reprlib.repr(overrides)[:200]}. Copy the run again."
        )
    return overrides
