"""Sweeps as a user types them, with every launcher and sweeper that is installed."""

import csv
import importlib.util
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer


def needs(plugin, extra):
    missing = importlib.util.find_spec("hydra_plugins") is None or importlib.util.find_spec(plugin) is None
    return pytest.mark.skipif(missing, reason=f"needs the extra {extra}")


@pytest.fixture
def sweep(tmp_path, toy_overrides):
    """Run a toy command: its exit status and what it printed."""
    toy = [word for word in toy_overrides if not word.startswith(("trainer.", "model.", "generator.drop"))]
    toy += ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "evaluate=false"]

    def run(*words, without=()):
        kept = [word for word in toy if not word.startswith(tuple(without))]
        command = [sys.executable, "-m", "mri_cyclegan.train", *words, *kept]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        return result.returncode, result.stdout + result.stderr

    return run


def jobs_of(tmp_path):
    """The names of the jobs' folders, and the leaderboard's rows."""
    (folder,) = tmp_path.glob("outputs/sweep/demo/*/leaderboard.csv")
    with folder.open() as file:
        rows = list(csv.DictReader(file))
    return sorted(path.name for path in folder.parent.iterdir() if path.is_dir() and path.name[0] != "."), rows


def test_a_job_that_fails_is_told_and_does_not_end_the_sweep(sweep, tmp_path):
    status, output = sweep("-m", "generator.dropout=2,0", "model.lambda_cycle=5")
    assert status == 1, output
    names, rows = jobs_of(tmp_path)
    assert names == ["0_dropout-2", "1_dropout-0"]
    assert [row["run"].rpartition("/")[2] for row in rows] == ["1_dropout-0"]
    assert float(rows[0]["training_s"]) > 0
    assert float(rows[0]["batches_per_s"]) > 0
    assert int(rows[0]["peak_memory_bytes"]) > 2**27
    assert "/0_dropout-2: dropout probability has to be between 0 and 1, but got 2" in output
    assert "Traceback" not in output
    (again,) = (line.removeprefix("again") for line in output.splitlines() if line.startswith("again"))
    words = shlex.split(again)
    assert words[:3] == ["python", "-m", "mri_cyclegan.train"]
    assert {"generator.dropout=0", "model.lambda_cycle=5", "+experiment=demo"} <= set(words)


def test_a_sweep_without_m_is_refused(sweep):
    status, output = sweep("sweep=seeds")
    assert status == 1
    assert "sweep=seeds is many runs. Add -m: python -m mri_cyclegan.train -m sweep=seeds" in output
    assert "Traceback" not in output


def test_several_devices_for_a_job_are_refused(sweep, tmp_path):
    status, output = sweep("-m", "seed=0,1", "trainer.devices=2")
    assert status == 1
    assert "trainer.devices=2: with -m expected one device for each job" in output
    assert not list(tmp_path.glob("outputs/sweep/demo/*/*")), "refused before the first job"


# Where jobs do not run in this process: its command line is not theirs.
LAUNCHERS = [
    pytest.param(
        ["hydra/launcher=gpus", "hydra.launcher.n_jobs=2"],
        "3,4",
        marks=needs("hydra_plugins.hydra_joblib_launcher", "joblib"),
        id="joblib",
    ),
    pytest.param(
        ["hydra/launcher=submitit_local"],
        "choice(3)",  # each of its jobs costs a process with all imports
        marks=[needs("hydra_plugins.hydra_submitit_launcher", "submitit"), pytest.mark.slow],
        id="submitit",
    ),
    pytest.param(
        ["hydra/launcher=ray_gpu", "hydra.launcher.ray.remote.num_gpus=0", "+hydra.launcher.ray.init.num_cpus=2"],
        "3,4",
        marks=needs("hydra_plugins.hydra_ray_launcher", "ray"),
        id="ray",
    ),
]


@pytest.mark.parametrize(("launcher", "seeds"), LAUNCHERS)
def test_jobs_in_other_processes_are_labeled_and_ranked(sweep, tmp_path, launcher, seeds):
    status, output = sweep("-m", "sweep=seeds", f"seed={seeds}", *launcher)
    assert status == 0, output
    names, rows = jobs_of(tmp_path)
    assert names == ["0_seed-3", "1_seed-4"][: len(rows)]
    assert len(rows) == (2 if "," in seeds else 1)
    values = [float(row["val_ssim"]) for row in rows]
    assert values == sorted(values, reverse=True)
    (folder,) = tmp_path.glob("outputs/sweep/demo/*")
    configs = [yaml.safe_load((folder / name / "config.yaml").read_text()) for name in names]
    assert [f"seed={config['seed']}" for config in configs] == [name[2:].replace("-", "=") for name in names]
    runs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload().Runs()
    assert {Path(run).parts[0] for run in runs} == set(names), "one TensorBoard shows all"
    assert f" seed={rows[0]['run'].rpartition('-')[2]} " in output.partition("again")[2], "the winner's command"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "num_jobs"), [("loss_weights", 6), ("architecture", 6), ("seeds", 5)])
def test_each_prepared_sweep(sweep, tmp_path, name, num_jobs):
    # Not every network has the toy's arguments.
    changed = ("generator.", "discriminator.", "data.image_size") if name == "architecture" else ()
    words = ["data.image_size=64", "data.batch_size=1"] if name == "architecture" else []
    status, output = sweep("-m", f"sweep={name}", *words, without=changed)
    assert status == 0, output
    names, rows = jobs_of(tmp_path)
    assert len(names) == len(rows) == num_jobs


@needs("hydra_plugins.hydra_optuna_sweeper", "optuna")
def test_a_search_goes_on_where_it_stopped_and_tells_failed_trials_apart(sweep, tmp_path):
    """A weight below 0 is refused, so the first trial fails; the second command runs what is left, one."""
    words = ["-m", "sweep=optuna", "hydra.sweeper.study_name=mine"]
    status, output = sweep(*words, "hydra.sweeper.n_trials=1", "model.lambda_cycle=interval(-2.0,-1.0)")
    assert status == 1
    assert "model.lambda_cycle: expected" in output
    status, output = sweep(*words, "hydra.sweeper.n_trials=2", "model.lambda_cycle=interval(1.0,2.0)")
    assert status == 0, output
    assert "Study mine: 1 trials done, 1 to run." in output
    with sqlite3.connect(tmp_path / "outputs/sweep/demo/optuna.db") as storage:
        states = [state for (state,) in storage.execute("select state from trials order by number")]
        ((value,),) = storage.execute("select value from trial_values")
    assert states == ["FAIL", "COMPLETE"]
    _, rows = jobs_of(tmp_path)
    assert [float(row["val_ssim"]) for row in rows] == [value]
