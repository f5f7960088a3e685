"""Classes that the user has named, on the command line or in the files of ``--config-dir``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mri_cyclegan.trusted_classes import DOTTED_NAME

# Files that a run leaves beside its configuration; a folder that has one is not the user's own configuration folder.
RUN_MARKERS = ("checkpoints", "model", "environment.json", "split.json", "hydra.yaml")


def named_in_overrides(overrides: Iterable[str]) -> set[str]:
    """Classes that overrides, as typed, give as ``_target_``.

    >>> sorted(named_in_overrides(["generator._target_=my_lab.A,my_lab.B", "+callbacks.x={_target_: c.D}", "seed=1"]))
    ['c.D', 'my_lab.A', 'my_lab.B']
    """
    typed = (re.split(r"_target_['\"]?\s*[=:]", override, maxsplit=1) for override in overrides)
    return {name for parts in typed if len(parts) == 2 for name in DOTTED_NAME.findall(parts[1])}


def named_in_folders(folders: Iterable[Path]) -> set[str]:
    """Classes in the files of ``--config-dir``, except files of a run, which may come from a stranger.

    Args:
        folders: given by ``--config-dir``.
    """
    files = (path for folder in folders for path in sorted(folder.rglob("*.yaml")) if not _in_run(path, folder))
    return {name for path in files for name in _targets(_content(path))}


def _in_run(path: Path, folder: Path) -> bool:
    """Whether a file lies in or below a run folder; looks as far up as the parent of ``--config-dir``."""
    levels: Sequence[Path] = path.parents
    above = levels[: levels.index(folder) + 2]
    return any((level / name).exists() for level in above for name in RUN_MARKERS)


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None  # Hydra reports the error if the file is used


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(name := node.get("_target_"), str) and DOTTED_NAME.fullmatch(name):
            yield name
        for child in node.values():
            yield from _targets(child)
    elif isinstance(node, list):
        for child in node:
            yield from _targets(child)
