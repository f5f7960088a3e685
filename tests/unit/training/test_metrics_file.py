import csv
import errno
from pathlib import Path

import pytest

from mri_cyclegan.training.metrics_file import MetricsFile


def written(folder, rows):
    logger = MetricsFile(folder, name="", version="")
    for step, metrics in rows:
        logger.log_metrics(metrics, step)
    logger.save()
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def test_a_training_that_goes_on_keeps_the_rows_before(tmp_path):
    first = written(tmp_path, [(0, {"loss": 1.0}), (4, {"loss": 0.5}), (4, {"val": 9}), (8, {"loss": 0.1})])
    assert [row["step"] for row in first] == ["0", "4", "4", "8"]
    both = written(tmp_path, [(8, {"loss": 0.2, "new": 3}), (12, {"loss": 0.05})])
    assert both == [
        *({key: row[key] for key in sorted(row)} for row in first[:3]),
        {"loss": "0.2", "new": "3", "step": "8"},
        {"loss": "0.05", "step": "12"},
    ]


def test_a_new_training_starts_a_file(tmp_path):
    assert written(tmp_path, [(0, {"loss": 1.0})]) == [{"loss": "1.0", "step": "0"}]


def test_the_file_of_before_stays_while_nothing_is_logged(tmp_path):
    before = written(tmp_path, [(0, {"loss": 1.0}), (4, {"loss": 0.5})])
    assert written(tmp_path, []) == before
    logger = MetricsFile(tmp_path, name="", version="")
    assert logger.experiment.metrics_keys == ["loss", "step"]
    assert written(tmp_path, []) == before, "a killed process had opened it"


@pytest.mark.parametrize("kept", [-1, -2, -5])
def test_a_row_that_was_cut_off_is_left_out(tmp_path, kept):
    written(tmp_path, [(0, {"loss": 1.0}), (4, {"loss": 0.5}), (13, {"loss": 0.25})])
    content = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "metrics.csv").write_bytes(content[:kept])
    rows = written(tmp_path, [(20, {"loss": 0.1})])
    assert [(row["step"], row["loss"]) for row in rows] == [("0", "1.0"), ("4", "0.5"), ("20", "0.1")]


def test_a_header_that_was_cut_off_is_written_anew(tmp_path):
    (tmp_path / "metrics.csv").write_text("los")
    assert written(tmp_path, [(3, {"loss": 0.1})]) == [{"loss": "0.1", "step": "3"}]


def test_a_full_disk_leaves_the_rows_of_before(tmp_path, monkeypatch):
    before = written(tmp_path, [(0, {"loss": 1.0}), (4, {"loss": 0.5})])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, [(8, {"other": 2.0})])
    monkeypatch.undo()
    assert written(tmp_path, []) == before
