import csv

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


def test_a_row_that_was_cut_off_is_left_out(tmp_path):
    written(tmp_path, [(0, {"loss": 1.0}), (4, {"loss": 0.5})])
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("0.2")
    assert [row["step"] for row in written(tmp_path, [(5, {"loss": 0.1})])] == ["0", "4", "5"]
