"""Classes that the user has named, on the command line or in the files of ``--config-dir``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


def named_in_file(content: Any, folder: Path, config_path: str) -> set[str]:
    """Classes that a file of ``--config-dir`` gives as ``_target_``; none in a file of a run (of a stranger, perhaps).

    Args:
        content: of the file, plain values.
        folder: given by ``--config-dir``.
        config_path: of the file, below the folder, such as ``generator/mine``.
    """
    return set() if _in_run(folder / config_path, folder) else set(_targets(content))


def _in_run(path: Path, folder: Path) -> bool:
    """Whether a file lies in or below a run folder; looks as far up as the parent of ``--config-dir``."""
    levels: Sequence[Path] = path.parents
    above = levels[: levels.index(folder) + 2]
    return any((level / name).exists() for level in above for name in RUN_MARKERS)


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(name := node.get("_target_"), str) and DOTTED_NAME.fullmatch(name):
            yield name
        for child in node.values():
            yield from _targets(child)
    elif isinstance(node, list):
        for child in node:
            yield from _targets(child)
