"""A start that is refused leaves what is there as it is, and one that never trained is in nobody's way."""

import csv
import fcntl
import hashlib
import json
import logging
import shutil
import sys

import pytest
import yaml
from commands import start

from mri_cyclegan import benchmark, train


def hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def run(monkeypatch):
    """Run an entry point as a command line in this process: its exit status."""
    # Hydra takes the tracing of coverage for a debugger, under which it raises instead of ending with a message.
    monkeypatch.setattr("hydra._internal.utils.is_under_debugger", lambda: False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run_main(module, *words):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            module.main()
        return stop.value.code

    yield run_main
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toy_run):
    """A sweep's folder with one finished job in it, as its command left it, and an error of earlier times."""
    run_dir = tmp_path_factory.mktemp("sweep") / "0_job"
    shutil.copytree(toy_run[0], run_dir)
    (run_dir / ".hydra").mkdir()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (run_dir / ".hydra" / name).write_text("[seed=0]")
    for name in ("error.txt", "train.log", "benchmark.log"):
        (run_dir / name).write_text("of before\n")
    split = json.loads((run_dir / "split.json").read_text())
    subjects = split["subjects"]
    subjects["val"], subjects["test"] = subjects["test"], subjects["val"]
    (run_dir.parent / "other.json").write_text(json.dumps(split))
    return run_dir


REFUSALS = {
    "folder holds a run": ([], "holds a run already"),
    "wrong key": (["resume=auto", "model.lambda_cyle=5"], "Unknown key model.lambda_cyle"),
    "wrong value": (["resume=auto", "model.lambda_cycle=-1"], "model.lambda_cycle: expected"),
    "two ways to resume": (["resume=auto", "ckpt_path=x"], "Give one of them"),
    "no data": (["resume=auto", "data.phantom=null", "data.root=/nowhere"], "data.root: /nowhere is not a folder"),
    "other subjects": (
        ["resume=auto", "data.split_column=null", "data.split_file={run}/../other.json"],
        "subjects have come or gone",
    ),
    "other networks": (["resume=auto", "generator.base_channels=5"], "was made with other networks"),
    "other initial model": (["resume=auto", "generator.base_channels=5", "initial_model={run}"], "initial_model: "),
    "fewer epochs": (["resume=auto", "trainer.max_epochs=1"], "the checkpoint has trained 2 epochs already"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_start_touches_nothing(finished, run, toy_overrides, capsys, name):
    words, message = REFUSALS[name]
    before = hashes(finished)
    words = [word.format(run=finished) for word in words]
    assert run(train, *toy_overrides, *words, f"hydra.run.dir={finished}") == 1
    said = "".join(capsys.readouterr())
    assert message in said
    assert "Traceback" not in said
    assert hashes(finished) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "holds runs already, such as 0_job"),
        (["resume=auto", "trainer.devices=2"], "expected one device for each job"),
        (["resume=auto", "generator.base_channels=5"], "was made with other networks"),
    ],
)
def test_nor_does_a_refused_sweep_or_job(finished, run, toy_overrides, capsys, words, message):
    before = hashes(finished)
    assert run(train, "-m", *toy_overrides, *words, f"hydra.sweep.dir={finished.parent}") == 1
    said = "".join(capsys.readouterr())
    assert message in said
    assert "Traceback" not in said
    assert hashes(finished) == before


@pytest.mark.parametrize(
    ("words", "message"), [(["part=none"], "holds a training run"), (["prat=loader"], "Unknown key prat")]
)
def test_nor_does_a_refused_benchmark(finished, run, capsys, words, message):
    before = hashes(finished)
    assert run(benchmark, *words, f"hydra.run.dir={finished}") == 1
    assert message in "".join(capsys.readouterr())
    assert hashes(finished) == before


def test_nor_does_one_where_another_has_just_begun(tmp_path, run, toy_overrides, capsys):
    """It has trained nothing yet, but it is at work."""
    (tmp_path / ".hydra").mkdir()
    for name in (".lock", "config.yaml", ".hydra/overrides.yaml"):
        (tmp_path / name).write_text("of the other\n")
    before = hashes(tmp_path)
    with (tmp_path / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (["resume=auto"], ["model.lambda_cycle=-1"]):
            assert run(train, *toy_overrides, *words, f"hydra.run.dir={tmp_path}") == 1
    assert "another training is at work" in "".join(capsys.readouterr())
    assert hashes(tmp_path) == before


def test_a_start_that_never_trained_is_in_nobodys_way(tmp_path, run, toy_overrides):
    """The same command again just works; and two at the same moment have folders of their own."""
    words = [*toy_overrides, "evaluate=false", "trainer.max_epochs=1", "trainer.limit_train_batches=1"]
    named = f"hydra.run.dir={tmp_path}/run"
    assert run(train, *words, "model.lambda_cycle=-1", named) == 1
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".hydra", "error.txt", "train.log"}
    (tmp_path / "run" / "split.json").write_text('{"subjects": "others"}')
    (tmp_path / "run" / "config.yaml").write_text("name: of before")
    folders = [named, *2 * [f"hydra.run.dir={tmp_path}/at_once/${{now:%Y}}"]]
    processes = [start(tmp_path, *words, folder) for folder in folders]
    for process in processes:
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
    runs = [tmp_path / "run", *sorted((tmp_path / "at_once").iterdir())]
    assert len(runs) == 3
    assert runs[2].name == f"{runs[1].name}_2"
    for folder in runs:
        assert (folder / "model" / "model.json").is_file()
        assert not (folder / "error.txt").exists()
        assert yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
        assert "epoch 1/1" in (folder / "train.log").read_text()


def test_a_finished_run_trains_on_and_says_so_or_stays_as_it_is(tmp_path, run, toy_overrides, finished):
    """Two epochs resumed to three, in batches of another size; then nothing is left."""
    shutil.copytree(finished, tmp_path / "run")
    words = [*toy_overrides, "evaluate=false", "resume=auto", f"hydra.run.dir={tmp_path}/run"]
    process = start(tmp_path, *words, "trainer.max_epochs=3", "data.batch_size=1")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    overrides = yaml.safe_load((tmp_path / "run" / ".hydra" / "overrides.yaml").read_text())
    assert "data.batch_size=1" in overrides
    assert "epoch 3/3" in (tmp_path / "run" / "train.log").read_text()
    with (tmp_path / "run" / "metrics.csv").open() as lines:
        rates = [row["learning_rate/generators"] for row in csv.DictReader(lines) if row["learning_rate/generators"]]
    assert list(map(float, rates)) == pytest.approx([5e-4, 2.5e-4, 2.5e-4]), "those of two epochs, then the third of 3"
    before = hashes(tmp_path / "run")
    changed = [*words, "trainer.max_epochs=3", "model.lambda_cycle=77"]
    process = start(tmp_path, *changed)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert "Nothing is left to train" in output
    assert hashes(tmp_path / "run") == before
