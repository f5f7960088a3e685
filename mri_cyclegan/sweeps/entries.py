"""Reads the runs of a sweep from their folders."""

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
from mri_cyclegan.evaluation.protocol import available_metrics

# Sweeps are ranked by this metric, since test subjects must not choose: at the best epoch, on the networks' own grid.
VALIDATION = "val_ssim"

# Resources used by a training, in the order of the table; see mri_cyclegan.training.callbacks.resources.
RESOURCES = ("training_s", "batches_per_s", "peak_gpu_memory_bytes", "peak_memory_bytes")


@dataclass(frozen=True)
class Entry:
    """One run of a sweep.

    Attributes:
        folder: run folder.
        overrides: override keys of its command line to their values, ``~`` for a removed key.
        typed: the same keys to whole overrides as typed, such as ``+experiment=demo``.
        metrics: foreground metrics such as ``ssim`` (mean over directions), ``ssim_ab``, ``ssim_ba``; ``val_ssim``.
        images: what it was evaluated on, None if it was not; only runs with equal images can be ranked.
        validated_on: identifies the images it was validated on, None if it was not; compared in the same way.
        chose_epoch: evaluated subjects on which its best epoch was chosen.
        resources: such as ``training_s``; only those that were measured.
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
    """The images that a run was evaluated on.

    Attributes:
        protocol_version: version of the evaluation protocol.
        part: part of the data set, such as ``test``.
        resampled_targets: whether targets were resampled.
        scans: for each scan its subject, session, name, file hashes, and whether it was registered.
    """

    protocol_version: int
    part: str
    resampled_targets: bool
    scans: tuple[tuple[str, ...], ...]


def read_entry(folder: Path, evaluated: bool) -> Entry:
    """Read a run from its folder.

    Args:
        folder: run folder.
        evaluated: whether an evaluation is required.

    Raises:
        ValueError: a required evaluation is missing, or a file of the run cannot be read.
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
    for name in available_metrics(content):
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
    """Finite numbers of a JSON file by name; empty if the file does not exist.

    Raises:
        ValueError: the file cannot be read.
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
    except OverflowError:  # an integer too large for a float
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
    """Reject an evaluation of a model other than the one now in the folder."""
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
    """Overrides of a run's command line, as Hydra saved them."""
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
