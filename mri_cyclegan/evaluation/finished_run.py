"""The folder of a finished run, as an evaluation reads it."""

import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from mri_cyclegan.data.layouts import Scan, find_scans
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.inference.portable import PortableModel, load_model

ALL = "all"
PARTS = ("test", "val", ALL)


@dataclass(frozen=True)
class FinishedRun:
    """What a run left behind. Nothing of it is executed: configuration and split are read as plain values.

    Attributes:
        folder: of the run.
    """

    folder: Path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        path = self.folder / "config.yaml"
        return self._read(path, lambda: yaml.safe_load(path.read_text(encoding="utf-8")))

    @cached_property
    def split(self) -> Mapping[str, Any]:
        """Who trained, validated and tested."""
        path = self.folder / "split.json"
        return self._read(path, lambda: json.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def model(self) -> PortableModel:
        """The trained model."""
        return load_model(self.folder)

    @property
    def name(self) -> str:
        """Of the experiment."""
        return str(self.setting("name"))

    def setting(self, key: str) -> Any:
        """A value of the configuration, such as ``data.layout``.

        Raises:
            ValueError: there is none.
        """
        value: Any = self.config
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise ValueError(f"{self.folder}/config.yaml: no {key}. Give the folder of a finished run.")
            value = value[part]
        return value

    @property
    def read_options(self) -> ReadOptions:
        """How doubtful files were read."""
        keys = ("volume_index", "nonfinite", "assume_orientation", "series_uids")
        index, nonfinite, orientation, uids = (self.setting(f"data.{key}") for key in keys)
        return ReadOptions(index, nonfinite, orientation, tuple(map(str, uids)))

    @property
    def history(self) -> list[dict[str, float]]:
        """Losses and validation metrics of each epoch, from ``metrics.csv``; empty without one."""
        path = self.folder / "metrics.csv"
        if not path.is_file():
            return []
        epochs: dict[int, dict[str, float]] = defaultdict(dict)
        with path.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                values = {
                    name.removesuffix("_epoch"): float(value)
                    for name, value in row.items()
                    if value and (name.endswith("_epoch") or name.startswith("val/"))
                }
                if row.get("epoch") and values:
                    epochs[int(row["epoch"])] |= values
        return [{"epoch": float(epoch), **values} for epoch, values in sorted(epochs.items())]

    def scans(self, root: Path) -> list[Scan]:
        """Every scan below a folder, found as in training.

        Raises:
            ValueError: the folder is no such data set.
        """
        keys = ("layout", "subject_pattern", "names_identify_subjects")
        layout, pattern, identify = (self.setting(f"data.{key}") for key in keys)
        return find_scans(layout, root, list(self.model.contrasts), pattern, identify).scans

    def of_part(self, scans: list[Scan], part: str) -> list[Scan]:
        """Those scans whose subject has a part: ``"test"``, ``"val"``, ``"train_a"`` or ``"train_b"``, or ``"all"``."""
        if part == ALL:
            return scans
        names = set(self.split["subjects"][part])
        return [scan for scan in scans if scan.subject in names]

    @property
    def data_root(self) -> Path:
        """Folder of the data set it was trained on.

        Raises:
            ValueError: the run does not say.
        """
        if "root" not in self.split:
            raise ValueError(f"{self.folder}/split.json does not name the data set's folder. Give it with --data-root.")
        return Path(self.split["root"])

    def _read(self, path: Path, read: Any) -> Mapping[str, Any]:
        try:
            return read()
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: cannot be read ({reason}). Give the folder of a finished run.") from error
