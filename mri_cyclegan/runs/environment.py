"""``environment.json``: what a run was started with, each time it was, so that it can be repeated."""

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
    """Write it; where the run goes on, what it was started with before moves to ``earlier_starts``.

    Args:
        run_dir: of the run.
        config: of the run.
        trainer: not yet fitting.
    """
    settings: Any = OmegaConf.to_container(config, resolve=True)
    content = {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "seeds": dict(_seeds(settings, "")),
        "data_fingerprint": None,  # the data is not looked at yet
        **provenance(trainer.strategy.root_device),
        "world_size": trainer.world_size,
        "earlier_starts": _starts(run_dir / FILE),
    }
    _write(run_dir, content)


def record_data(run_dir: Path, fingerprint: str) -> None:
    """Add what the run trains on.

    Args:
        run_dir: of a run whose start is recorded.
        fingerprint: see :func:`mri_cyclegan.data.splits.content_hash.content_hash`.
    """
    content = json.loads((run_dir / FILE).read_text(encoding="utf-8"))
    _write(run_dir, content | {"data_fingerprint": fingerprint})


def _write(run_dir: Path, content: Mapping[str, Any]) -> None:
    atomic_write_text(run_dir / FILE, json.dumps(content, indent=2) + "\n")


def _starts(path: Path) -> list[dict[str, Any]]:
    """All starts that a file tells of, the last one last; none where there is no such file."""
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
