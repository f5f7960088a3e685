import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.sweeps.entries import Entry, Images
from mri_cyclegan.sweeps.leaderboard import Leaderboard
from mri_cyclegan.sweeps.leaderboard_table import report_sweep, rerun_command, save_and_print

NAMES = ["plain", "[bold]brackets[/bold]", "[/closing]"]


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def entry_of(folder, words, **changes):
    by_key = {word.lstrip("+~").partition("=")[0]: word for word in words}
    overrides = {key: word.partition("=")[2] for key, word in by_key.items()}
    return Entry(folder, overrides, by_key, {"ssim": 0.5, "val_ssim": 0.25}, Images(2, "test", False, ()), **changes)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(tmp_path, capsys, name):
    root = tmp_path / name.replace("/", "")
    root.mkdir()
    entry = entry_of(root / "0", [f"k[b]={name}", "~gone"])
    ranking = Leaderboard([entry], "ssim", ["k[b]", "gone"], [f"{name}: broken"], {root / "1": f"{name} failed"})
    save_and_print(ranking, root)
    output = capsys.readouterr().out
    for shown in (" k[b] ", f" {name} ", f"Left out: {name}: broken", f"Failed: {root}/1: {name} failed", " 0.500 "):
        assert shown in output
    pasted = next(line for line in output.splitlines() if line.startswith("best")).removeprefix("best")
    assert shlex.split(pasted) == [f"k[b]={name}", "~gone"]
    assert (root / "leaderboard.csv").read_text() == ranking.as_csv()


@pytest.mark.parametrize(
    ("metric", "part", "whose"),
    [
        ("ssim", "test", "2 test subjects"),
        ("ssim", "val", "2 validation subjects, on whom the epoch was chosen"),
        ("val_ssim", "test", "validation subjects, on whom the epoch was chosen"),
    ],
)
def test_it_says_whose_figures_rank(tmp_path, capsys, metric, part, whose):
    entry = entry_of(tmp_path / "0", [], chose_epoch=("sub-1", "sub-2") if part == "val" else ())
    entry = replace(entry, images=Images(2, part, False, (("sub-1", "a"), ("sub-1", "b"), ("sub-2", "a"))))
    save_and_print(Leaderboard([entry], metric, [], []), tmp_path)
    assert f"by {metric}, foreground of {whose}" in " ".join(capsys.readouterr().out.split())


def test_time_and_memory_are_shown_in_units_for_people(tmp_path, capsys):
    resources = {"training_s": 12.34, "batches_per_s": 7.0, "peak_gpu_memory_bytes": 3 * 2**30}
    ranking = Leaderboard([entry_of(tmp_path / "0", ["seed=1"], resources=resources)], "val_ssim", ["seed"], [])
    save_and_print(ranking, tmp_path)
    output = capsys.readouterr().out
    header, row = (line for line in output.splitlines() if "batches/s" in line or "12.3" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["1", "0.250", "1", "12.3 s", "7", "3 GiB", "0"]
    assert "GPU memory" in header
    assert " memory" not in header.replace("GPU memory", ""), "nothing was measured of it"


def test_the_winner_runs_again_from_the_shell(tmp_path):
    words = ["+experiment=demo", "sweep=loss_weights", "model.cycle_weights=[2,1]", "license='C C $0, \"x\"'", "seed=3"]
    command = shlex.split(rerun_command(entry_of(tmp_path, words)))
    assert command[:3] == ["python", "-m", "mri_cyclegan.train"]
    assert command[3:] == [word for word in words if not word.startswith("sweep")]
    OverridesParser.create().parse_overrides(command[3:])
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", overrides=[f"run_dir={tmp_path}", *command[3:]])
    assert (config.name, config.seed, config.license, config.model.cycle_weights) == ("demo", 3, 'C C $0, "x"', [2, 1])


def test_a_sweep_without_any_result_is_told_as_such(tmp_path, capsys):
    folder = tmp_path / "0"
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("- seed=1\n")
    report_sweep(Path(tmp_path))
    output = capsys.readouterr().out
    assert "no validated run is below it" in output
    assert f"- {folder}: failed: did not end" in output
    assert not (tmp_path / "leaderboard.csv").exists()


@pytest.mark.parametrize(
    "text",
    ["hydra: !!bool x", "hydra: {runtime: {config_sources: [{provider: command-line, path: [x]}]}}", "[", "hydra: 1"],
)
def test_a_job_that_does_not_say_where_its_experiments_lie(tmp_path, text):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "hydra.yaml").write_text(text)
    assert rerun_command(entry_of(tmp_path, ["seed=1"])).endswith("mri_cyclegan.train seed=1")


def test_nothing_that_a_terminal_would_obey_is_printed(tmp_path, capsys):
    name = "\x1b]0;title\x07"
    ranking = Leaderboard(
        [entry_of(tmp_path / name, [f"k{name}={name}"])], "ssim", [f"k{name}"], [name], {tmp_path: name}
    )
    save_and_print(ranking, tmp_path)
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "Left out: \\x1b]0;title\\x07" in output
