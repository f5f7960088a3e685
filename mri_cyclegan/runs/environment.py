"""``environment.json``: how a run was started, at each of its starts, so that it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.provenance import provenance

FILE = "environment.json"


def record_start(run_dir: Path, config: DictConfig, trainer: pl.Trainer) -> None:
    """Write ``environment.json``; for a resumed run, the previous start moves to ``earlier_starts``.

    Args:
        run_dir: run folder.
        config: run configuration.
        trainer: before ``fit``.
    """
    settings: Any = OmegaConf.to_container(config, resolve=True)
    content = {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "seeds": dict(_seeds(settings, "")),
        "data_fingerprint": None,  # the data is not read yet
        **provenance(trainer.strategy.root_device),
        "world_size": trainer.world_size,
        "earlier_starts": _starts(run_dir / FILE),
    }
    _write(run_dir, content)


def record_data(run_dir: Path, fingerprint: str) -> None:
    """Add the fingerprint of the training data.

    Args:
        run_dir: folder of a run whose start is recorded.
        fingerprint: see :func:`mri_cyclegan.data.splits.content_hash.content_hash`.
    """
    content = json.loads((run_dir / FILE).read_text(encoding="utf-8"))
    _write(run_dir, content | {"data_fingerprint": fingerprint})


def _write(run_dir: Path, content: Mapping[str, Any]) -> None:
    atomic_write_text(run_dir / FILE, json.dumps(content, indent=2) + "\n")


def _starts(path: Path) -> list[dict[str, Any]]:
    """All starts recorded in a file, the latest last; empty if the file is missing or unreadable."""
    try:
        last = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [*last.pop("earlier_starts", []), last] if isinstance(last, dict) else []


def _seeds(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, int]]:
    """Key and value of every seed, such as ``data.split_seed``."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _seeds(value, f"{prefix}{key}.")
        elif key == "seed" or key.endswith("_seed"):
            yield f"{prefix}{key}", value
