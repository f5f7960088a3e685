import json
from pathlib import Path

import pytest
import yaml

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.layouts import Found, Scan
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.evaluation import finished_run
from mri_cyclegan.evaluation.finished_run import FinishedRun

SUBJECTS = {"train_a": ["sub-1"], "train_b": ["sub-2"], "val": ["sub-3"], "test": ["sub-4"]}


@pytest.fixture
def run(tmp_path):
    data = {"volume_index": 2, "nonfinite": "zero", "assume_orientation": None, "series_uids": []}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"name": "mine", "data": data}))
    (tmp_path / "split.json").write_text(json.dumps({"root": "/scans", "subjects": SUBJECTS}))
    return FinishedRun(tmp_path)


def test_what_a_run_says_of_itself(run):
    assert run.name == "mine"
    assert run.data_root == Path("/scans")
    assert run.read_options == ReadOptions(volume_index=2, nonfinite="zero")


def test_scans_of_a_part(run):
    scans = [Scan(f"sub-{number}", "", "T1w", Path(f"{number}.nii")) for number in range(1, 7)]
    assert [scan.subject for scan in run.scans_in(scans, "test")] == ["sub-4"]
    assert [scan.subject for scan in run.scans_in(scans, "train_a")] == ["sub-1"]
    assert run.scans_in(scans, "all") == scans


def test_epochs_of_the_table(run):
    (run.folder / "metrics.csv").write_text(
        "epoch,loss/cycle_a_epoch,loss/cycle_a_step,val/ssim\n,,0.9,\n0,,0.8,\n0,,,0.3\n0,0.7,,\n1,0.5,,\n1,,,0.4\n"
    )
    assert run.history == [
        {"epoch": 0.0, "loss/cycle_a": 0.7, "val/ssim": 0.3},
        {"epoch": 1.0, "loss/cycle_a": 0.5, "val/ssim": 0.4},
    ]


def test_without_a_table_there_is_no_history(run):
    assert run.history == []


@pytest.mark.parametrize("name", ["config.yaml", "split.json"])
@pytest.mark.parametrize("content", [None, "{: not"])
def test_a_folder_that_is_no_finished_run_is_refused(run, name, content):
    path = run.folder / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=rf"{name}: cannot be read.*Give the folder of a finished run"):
        _ = run.config if name == "config.yaml" else run.split


def test_nothing_that_a_configuration_asks_for_is_executed(run, tmp_path):
    (run.folder / "config.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    with pytest.raises(ValueError, match="cannot be read"):
        _ = run.config
    assert not (tmp_path / "made").exists()


def test_a_missing_setting_is_named(run):
    with pytest.raises(ValueError, match=r"config\.yaml: no trainer\.max_epochs"):
        run.setting("trainer.max_epochs")


def test_a_split_without_its_root_tells_the_way_out(run):
    (run.folder / "split.json").write_text(json.dumps({"subjects": SUBJECTS}))
    with pytest.raises(ValueError, match=r"split\.json does not name the data set's folder.*--data-root"):
        _ = run.data_root


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"subjects": None},
        {"subjects": ["sub-1"]},
        {"subjects": {part: names for part, names in SUBJECTS.items() if part != "val"}},
        {"subjects": SUBJECTS | {"test": "sub-4"}},
        {"subjects": SUBJECTS | {"test": [["sub-4"]]}},
        {"subjects": SUBJECTS, "root": None},
        {"subjects": SUBJECTS, "root": ["/scans"]},
    ],
)
def test_what_is_no_split_is_refused(run, content):
    (run.folder / "split.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"split\.json: cannot be read \(expected a (list of names|folder)"):
        _ = run.split


@pytest.mark.parametrize(
    ("key", "value"),
    [("series_uids", None), ("series_uids", "1.2.3"), ("volume_index", "first"), ("nonfinite", "ignore")],
)
def test_a_setting_of_another_kind_is_named_with_its_file(run, key, value):
    config = yaml.safe_load((run.folder / "config.yaml").read_text())
    config["data"][key] = value
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match=rf"config\.yaml: data\.{key}"):
        _ = run.read_options


def test_rows_of_the_table_that_cannot_be_read_are_no_reason_to_stop(run):
    (run.folder / "metrics.csv").write_bytes(
        b"epoch,val/ssim\n0,0.3\n1,high\nsecond,0.5\n2.0,0.5\n,0.5\n3,0.6,7\n4\n5,\xff\n6,0.8\n"
    )
    assert run.history == [
        {"epoch": 0.0, "val/ssim": 0.3},
        {"epoch": 3.0, "val/ssim": 0.6},
        {"epoch": 6.0, "val/ssim": 0.8},
    ]


def test_scans_come_with_what_could_not_be_searched(run, monkeypatch, tmp_path):
    found = Found([], [Finding("error", tmp_path, "may not be read", "")])
    settings = {"layout": "bids", "subject_pattern": None, "names_identify_subjects": True}
    (run.folder / "config.yaml").write_text(yaml.safe_dump({"data": settings}))
    monkeypatch.setattr(finished_run, "find_scans", lambda *_: found)
    monkeypatch.setattr(FinishedRun, "model", type("Model", (), {"contrasts": ("T1w", "T2w")}))
    assert run.scans(tmp_path) == found


@pytest.mark.parametrize(
    "text",
    ["!!bool x", "!!int ''", "!!timestamp x", "2026-99-99", "[&a [*b]]", "{[1]: 2}"],
)
def test_values_that_are_not_what_their_tags_say_are_refused(run, text):
    (run.folder / "config.yaml").write_text(f"name: {text}\n")
    with pytest.raises(ValueError, match=r"config\.yaml: cannot be read"):
        _ = run.config


def test_a_setting_that_stands_for_more_than_memory_holds_is_not_printed(run):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{of}'] * 9)}]" for of, name in zip("abcdefghi", "bcdefghij")]
    (run.folder / "config.yaml").write_text("\n".join([*lines, "name: *j\n"]))
    with pytest.raises(ValueError, match=r"config\.yaml: name is \[+.*, expected str") as error:
        _ = run.name
    assert len(str(error.value)) < 1000


def test_an_epoch_that_no_number_holds_is_left_out(run):
    (run.folder / "metrics.csv").write_text(f"epoch,val/ssim\n{'9' * 400},0.5\n1,0.4\n")
    assert run.history == [{"epoch": 1.0, "val/ssim": 0.4}]
