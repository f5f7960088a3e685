"""metrics.csv, also of a training that goes on."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger


class MetricsFile(CSVLogger):
    """Lightning's logger, which would delete the file of before: its rows stay up to where the training goes on."""

    before: list[dict[str, Any]] | None = None

    @property
    def experiment(self) -> Any:
        """The writer of the file; on its first use the rows of before are taken."""
        if self.before is None:
            self.before = _rows(Path(self.log_dir) / "metrics.csv")
        return super().experiment

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        """Add a row; before the first one, those of before."""
        experiment = self.experiment
        if self.before:
            # What was logged after the checkpoint is logged again.
            experiment.metrics += [row for row in self.before if step is None or int(row["step"]) < step]
        self.before = []
        super().log_metrics(dict(metrics), step)


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]
