"""CSV logger of metrics.csv that supports resuming."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment

from mri_cyclegan.filesystem import atomic_write_text


class MetricsFile(CSVLogger):
    """CSV logger that keeps the rows up to the checkpoint on resume; Lightning's would delete the file."""

    purge_pending = True

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, which appends to an existing file."""
        if self._experiment is None:
            self._experiment = AppendingWriter(self.log_dir)
            self._experiment.metrics_keys = _read(self._path)[0]
        return self._experiment

    @property
    def _path(self) -> Path:
        return Path(self.log_dir) / "metrics.csv"

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        """Append a row; before the first one, drop rows logged after the checkpoint, which are logged again."""
        if self.purge_pending and step is not None and self._path.is_file():
            _drop_rows_from(self._path, step)
        self.purge_pending = False
        super().log_metrics(dict(metrics), step)


class AppendingWriter(ExperimentWriter):
    """Keeps an existing file, and rewrites it atomically when columns are added."""

    def _check_log_dir_exists(self) -> None:
        pass

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        _write(path, fieldnames, _read(path)[1])


def _read(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Header and rows, without an incomplete last line; both empty if there is no file."""
    if not path.is_file():
        return [], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(line for line in file if line.endswith("\n"))
        return list(reader.fieldnames or []), list(reader)


def _write(path: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names)
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(path, text.getvalue())


def _drop_rows_from(path: Path, step: int) -> None:
    """Drop rows from ``step`` on, and an incomplete last line."""
    names, rows = _read(path)
    if not names:
        path.unlink()  # even the header is incomplete
        return
    kept = [row for row in rows if row["step"] and int(row["step"]) < step]
    if len(kept) < len(rows) or not path.read_bytes().endswith(b"\n"):
        _write(path, names, kept)
