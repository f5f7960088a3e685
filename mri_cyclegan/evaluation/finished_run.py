"""Reads the folder of a finished run for evaluation."""

import csv
import json
import reprlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any

from mri_cyclegan.data.layouts import Found, LayoutSettings, Scan, find_scans
from mri_cyclegan.data.pairs import RULES
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.evaluation.plain_yaml import read_yaml
from mri_cyclegan.inference.model import PortableModel, load_model

ALL = "all"
PARTS_OF_SPLIT = ("train_a", "train_b", "val", "test")


@dataclass(frozen=True)
class FinishedRun:
    """Folder of a finished run. Nothing in it is executed: configuration and split are read as plain values.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        path = self.folder / "config.yaml"
        return self._read(path, lambda: read_yaml(path))

    @cached_property
    def split(self) -> Mapping[str, Any]:
        """Content of ``split.json``: the training, validation and test subjects."""
        path = self.folder / "split.json"
        return self._read(path, lambda: _validate_split(json.loads(path.read_text(encoding="utf-8"))))

    @cached_property
    def model(self) -> PortableModel:
        """The trained model."""
        return load_model(self.folder)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.setting("name", str)

    def setting(self, key: str, kind: type | UnionType = object) -> Any:
        """A value of the configuration, such as ``data.layout``.

        Args:
            key: dotted path.
            kind: expected type.

        Raises:
            ValueError: the key is missing, or its value has another type.
        """
        value: Any = self.config
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise ValueError(f"{self.folder}/config.yaml: no {key}. Give the folder of a finished run.")
            value = value[part]
        if not isinstance(value, kind):
            expected = getattr(kind, "__name__", str(kind))
            got = reprlib.repr(value)[:200]  # YAML aliases can expand a few lines beyond memory
            raise ValueError(f"{self.folder}/config.yaml: {key} is {got}, expected {expected}. Copy the run again.")
        return value

    @property
    def read_options(self) -> ReadOptions:
        """How incomplete or unusual files were read in training."""
        kinds = {"volume_index": int | None, "nonfinite": str, "assume_orientation": str | None, "series_uids": list}
        index, nonfinite, orientation, uids = (self.setting(f"data.{key}", kind) for key, kind in kinds.items())
        try:
            return ReadOptions(index, nonfinite, orientation, tuple(map(str, uids)))
        except ValueError as error:
            raise ValueError(f"{self.folder}/config.yaml: {error}") from error

    @property
    def pairs(self) -> str:
        """Rule for comparing scans on different grids; ``"grid"`` (never compare) for runs older than this setting."""
        rule = self.setting("data", Mapping).get("pairs", "grid")
        if rule not in RULES:
            raise ValueError(f"{self.folder}/config.yaml: data.pairs is {rule!r}, expected one of {', '.join(RULES)}.")
        return rule

    @property
    def history(self) -> list[dict[str, float]]:
        """Losses and validation metrics of each epoch, from ``metrics.csv``; empty if there is no such file."""
        path = self.folder / "metrics.csv"
        if not path.is_file():
            return []
        epochs: dict[float, dict[str, float]] = defaultdict(dict)
        with path.open(newline="", encoding="utf-8", errors="replace") as lines:
            for row in csv.DictReader(lines):
                # A damaged row only leaves a gap in the learning curves; it must not stop the evaluation.
                with suppress(ValueError, OverflowError):
                    epoch, values = _epoch_values(row)
                    if values:
                        epochs[epoch] |= values
        return [{"epoch": epoch, **values} for epoch, values in sorted(epochs.items())]

    def scans(self, root: Path, settings: LayoutSettings | None = None) -> Found:
        """Every scan in a data set, and findings about what could not be searched.

        Args:
            root: folder of the data set.
            settings: its layout, which may name the model's contrasts differently; None for the layout of training.

        Raises:
            ValueError: the folder does not have this layout.
        """
        settings = settings or self.layout_settings
        found = find_scans(root, settings)
        name_of = dict(zip(settings.contrasts, self.model.contrasts, strict=True))
        return found._replace(scans=[replace(scan, contrast=name_of[scan.contrast]) for scan in found.scans])

    @property
    def layout_settings(self) -> LayoutSettings:
        """Layout of the data set in training."""
        kinds = {"layout": str, "subject_pattern": str | None, "names_identify_subjects": bool | None}
        layout, pattern, identify = (self.setting(f"data.{key}", kind) for key, kind in kinds.items())
        later = {"bids_filters": Mapping, "pattern_a": str | None, "pattern_b": str | None}  # not in older runs
        given = {key: self.setting(f"data.{key}", kind) for key, kind in later.items() if key in self.config["data"]}
        contrasts = self.model.contrasts
        try:
            return LayoutSettings(layout, contrasts, pattern, identify, **given)
        except ValueError as error:
            raise ValueError(f"{self.folder}/config.yaml: {error}") from error

    def subjects_in(self, part: str) -> list[str]:
        """Subjects in a part of the split: ``"test"``, ``"val"``, ``"train_a"`` or ``"train_b"``."""
        return self.split["subjects"][part]

    def scans_in(self, scans: Sequence[Scan], part: str) -> list[Scan]:
        """Scans of the subjects in a part of the split (see :meth:`subjects_in`), or every scan for ``"all"``."""
        if part == ALL:
            return list(scans)
        names = set(self.subjects_in(part))
        return [scan for scan in scans if scan.subject in names]

    @property
    def data_root(self) -> Path:
        """Folder of the data set the run was trained on.

        Raises:
            ValueError: ``split.json`` does not name it.
        """
        if "root" not in self.split:
            raise ValueError(f"{self.folder}/split.json does not name the data set's folder. Give it with --data-root.")
        return Path(self.split["root"])

    def _read(self, path: Path, read: Any) -> Mapping[str, Any]:
        try:
            return read()
        except (OSError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: cannot be read ({reason}). Give the folder of a finished run.") from error


def _validate_split(split: Any) -> Mapping[str, Any]:
    """The content of ``split.json``, validated."""
    subjects = split.get("subjects") if isinstance(split, dict) else None
    for part in PARTS_OF_SPLIT:
        names = subjects.get(part) if isinstance(subjects, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"expected a list of names at subjects, {part}")
    if not isinstance(split.get("root", ""), str):
        raise ValueError(f"expected a folder at root, got {split['root']!r}")
    return split


def _epoch_values(row: Mapping[str, str]) -> tuple[float, dict[str, float]]:
    """Epoch of a row of ``metrics.csv`` and its end-of-epoch values; most rows fill only some of the columns."""
    values = {
        name.removesuffix("_epoch"): float(value)
        for name, value in row.items()
        if name and value and (name.endswith("_epoch") or name.startswith("val/"))
    }
    return float(int(row.get("epoch") or "")), values
