"""A run that was ended, by whatever, goes on in its folder."""

import csv
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
import torch
from commands import start, wait_for

from mri_cyclegan.train import train
from mri_cyclegan.training.callbacks.checkpoints import Interrupted, LastCheckpoints
from mri_cyclegan.training.cyclegan import CycleGAN

WORDS = ["trainer.max_epochs=6", "evaluate=false", "callbacks.last_checkpoint.every_minutes=0.01"]


def start_run(folder, *words):
    return start(folder, *words, f"hydra.run.dir={folder}/run")


def finish(folder, *words):
    process = start_run(folder, *words, "resume=auto")
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


def assert_complete(run_dir, num_epochs=6):
    assert torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == num_epochs - 1
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["loss/generators_step"]]
    assert steps == list(range(3 * num_epochs)), "every batch once"
    assert [row["epoch"] for row in rows if row["loss/generators_epoch"]] == [str(n) for n in range(num_epochs)]
    for name in ("summary.json", "model/model.json", "progress.png"):
        assert (run_dir / name).is_file()
    assert not (run_dir / "checkpoints" / "next.ckpt").exists()


@pytest.mark.parametrize(
    "sent", [signal.SIGTERM, *(pytest.param(sent, marks=pytest.mark.slow) for sent in (signal.SIGINT, signal.SIGUSR1))]
)
def test_a_signal_ends_it_with_a_checkpoint_and_its_own_status(tmp_path, toy_overrides, sent):
    words = [*toy_overrides, *WORDS]
    process = start_run(tmp_path, *words, "trainer.max_epochs=500")
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    wait_for(checkpoint.exists, process)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert f"Resume with the same command and hydra.run.dir={tmp_path}/run resume=auto" in output
    assert "Traceback" not in output
    epoch = torch.load(checkpoint, weights_only=True)["epoch"]
    if sent == signal.SIGTERM:
        longer = f"trainer.max_epochs={epoch + 3}"
        assert f"Resuming from {checkpoint}" in finish(tmp_path, *words, longer)
        assert_complete(tmp_path / "run", epoch + 3)


@pytest.mark.parametrize("num_saves", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_signal_while_the_checkpoint_of_an_epoch_is_written(
    tmp_path, toy_overrides, compose_run, monkeypatch, num_saves
):
    """The epoch's means are logged after that, and must not be lost: no later epoch has them."""
    save, saved = LastCheckpoints.save, []

    def interrupted(self, trainer, pl_module):
        save(self, trainer, pl_module)
        saved.append(trainer.current_epoch)
        if len(saved) == num_saves:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(LastCheckpoints, "save", interrupted)
    words = [*toy_overrides, "evaluate=false", "callbacks.last_checkpoint.every_minutes=null"]
    with pytest.raises(SystemExit) as stop:
        train(compose_run(tmp_path, *words, "trainer.max_epochs=2"))
    assert (stop.value.code, len(saved)) == (128 + signal.SIGTERM, num_saves)
    monkeypatch.undo()
    train(compose_run(tmp_path, *words, "trainer.max_epochs=3", "resume=auto"))
    assert_complete(tmp_path, 3)


def kill_once(folder, words, after_s):
    """Start or go on, and kill it after a while, wherever it is then."""
    process = start_run(folder, *words, "resume=auto")
    sleep(after_s)
    process.kill()
    output, _ = process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0), output
    for path in Path(folder).rglob("*.ckpt"):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize(
    "num_kills", [pytest.param(1, id="once"), pytest.param(30, id="thirty times", marks=pytest.mark.slow)]
)
def test_killed_at_any_moment_it_goes_on_and_finishes(tmp_path, toy_overrides, num_kills):
    words = [*toy_overrides, *WORDS]
    draw = random.Random(num_kills)
    for _ in range(num_kills):
        kill_once(tmp_path, words, draw.uniform(1, 20))
    finish(tmp_path, *words)
    assert_complete(tmp_path / "run")


def test_what_is_damaged_is_left_out(tmp_path, compose_run, toy_overrides, caplog):
    words = [*toy_overrides, "evaluate=false", "resume=auto"]
    train(compose_run(tmp_path, *words, "trainer.max_epochs=2"))
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    with caplog.at_level("INFO"):
        train(compose_run(tmp_path, *words, "trainer.max_epochs=3"))
    assert f"{last} is damaged" in caplog.text
    assert f"Resuming from {tmp_path}/checkpoints/previous.ckpt" in caplog.text
    assert torch.load(last, weights_only=True)["epoch"] == 2


def test_it_goes_on_with_the_same_subjects_or_not_at_all(tmp_path, compose_run, toy_overrides):
    words = [*toy_overrides, "evaluate=false", "resume=auto", "trainer.limit_train_batches=1"]
    train(compose_run(tmp_path, *words, "trainer.max_epochs=1"))
    before = {name: (tmp_path / name).read_text() for name in ("split.json", "environment.json", "config.yaml")}
    fewer = [word.replace("num_val=2", "num_val=1") for word in words]
    with pytest.raises(ValueError, match=rf"subjects have come or gone .*data.split_file={tmp_path}/split.json"):
        train(compose_run(tmp_path, *fewer, "trainer.max_epochs=2"))
    assert {name: (tmp_path / name).read_text() for name in before} == before


def test_an_unfinished_epoch_starts_over_in_batches_of_another_size(
    tmp_path, compose_run, toy_overrides, monkeypatch, caplog
):
    """As after memory did not hold a batch, and a smaller one was proposed."""
    words = [*toy_overrides, "evaluate=false", "resume=auto", "trainer.max_epochs=3", "trainer.limit_train_batches=1.0"]

    def save_and_stop(self, trainer, pl_module, *_):
        if (trainer.current_epoch, trainer.fit_loop.batch_idx) == (1, 6):
            self.save(trainer, pl_module)
            raise Interrupted(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(LastCheckpoints, "on_train_batch_end", save_and_stop)
        train(compose_run(tmp_path, *words))
    seen = []
    step = CycleGAN.training_step

    def noting(self, batch, batch_index):
        seen.append((self.current_epoch, batch_index, len(batch["a"])))
        step(self, batch, batch_index)

    monkeypatch.setattr(CycleGAN, "training_step", noting)
    with caplog.at_level("INFO"):
        train(compose_run(tmp_path, *words, "data.batch_size=4"))
    assert "The unfinished epoch starts over: its batches had 2 slices and have 4 now." in caplog.text
    num_slices = sum(size for epoch, _, size in seen if epoch == 2)
    assert sum(size for epoch, _, size in seen if epoch == 1) == num_slices, "each slice of the epoch"
    assert [index for epoch, index, _ in seen if epoch == 1] == list(range(-(-num_slices // 4)))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows if row["loss/generators_epoch"]] == ["0", "1", "2"]
    assert [row["epoch"] for row in rows if row["val/ssim"]] == ["0", "1", "2"]


@pytest.mark.parametrize("fused", [False, pytest.param(None, marks=pytest.mark.slow)])
def test_it_goes_on_from_another_precision(tmp_path, compose_run, toy_overrides, fused):
    """Where Adam is not one kernel, as with float16."""
    words = [*toy_overrides, "evaluate=false", "resume=auto", "trainer.limit_train_batches=1"]
    train(compose_run(tmp_path, *words, "trainer.max_epochs=1"))
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    for state in content["optimizer_states"]:
        for group in state["param_groups"]:
            group["fused"] = fused
    torch.save(content, last)
    train(compose_run(tmp_path, *words, "trainer.max_epochs=2"))
    states = torch.load(last, weights_only=True)["optimizer_states"]
    assert all(group["fused"] for state in states for group in state["param_groups"])


def test_two_trainings_do_not_share_a_folder(tmp_path, compose_run, toy_overrides):
    code = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, 2); print(); time.sleep(99)"
    words = [*toy_overrides, "evaluate=false", "resume=auto", "trainer.max_epochs=1"]
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / ".lock"], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ValueError, match=f"run_dir: another training is at work in {tmp_path}. Give another"):
            train(compose_run(tmp_path, *words))
        assert not (tmp_path / "config.yaml").exists()
        other.kill()
    train(compose_run(tmp_path, *words))


def test_a_checkpoint_of_other_networks_is_told(tmp_path, compose_run, toy_overrides):
    words = [*toy_overrides, "evaluate=false", "trainer.max_epochs=1"]
    train(compose_run(tmp_path / "first", *words))
    other = [*words, "generator.full_resolution_skip=false", f"ckpt_path={tmp_path}/first/checkpoints/last.ckpt"]
    with pytest.raises(ValueError, match=r"last.ckpt: was made with other networks or losses than these \(.*key"):
        train(compose_run(tmp_path / "second", *other))
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"damaged.ckpt is damaged. previous.ckpt beside it"):
        train(compose_run(tmp_path / "third", *words, f"ckpt_path={damaged}"))


def sweep(folder, *words, num_epochs=5000):
    """Two jobs that would train for long, as a user starts them."""
    last = ["seed=1,2", f"trainer.max_epochs={num_epochs}", f"hydra.sweep.dir={folder}/sweep"]
    return start(folder, "-m", *words, *last)


def last_checkpoints(folder):
    return sorted((folder / "sweep").glob("*/checkpoints/last.ckpt"))


def metrics(folder):
    return {path.parent: path.read_text() for path in (folder / "sweep").glob("*/metrics.csv")}


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_sweep_with_the_job_at_work(tmp_path, toy_overrides, sent):
    process = sweep(tmp_path, *toy_overrides, *WORDS)
    wait_for(lambda: last_checkpoints(tmp_path), process)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + sent, output
    (checkpoint,) = last_checkpoints(tmp_path)
    torch.load(checkpoint, weights_only=True)
    assert [path.parent.name[0] for path in (tmp_path / "sweep").glob("*/.hydra")] == ["0"], (
        "the other job has not begun"
    )
    assert f"Resume with the same command and hydra.sweep.dir={tmp_path}/sweep resume=auto" in output
    assert "Traceback" not in output
    if sent == signal.SIGTERM:
        num_epochs = torch.load(checkpoint, weights_only=True)["epoch"] + 2
        output, _ = sweep(tmp_path, *toy_overrides, *WORDS, "resume=auto", num_epochs=num_epochs).communicate(
            timeout=120
        )
        assert f"Resuming from {checkpoint}" in output
        for folder in (tmp_path / "sweep").glob("?_seed-?"):
            assert_complete(folder, num_epochs)
        assert len(last_checkpoints(tmp_path)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_in_other_processes_end_with_a_checkpoint_when_the_sweep_is_gone(tmp_path, toy_overrides, sent):
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    process = sweep(tmp_path, *toy_overrides, *WORDS, *launcher)
    wait_for(lambda: len(last_checkpoints(tmp_path)) == 2, process)
    process.send_signal(sent)
    process.wait(60)
    logs = [checkpoint.parents[1] / "train.log" for checkpoint in last_checkpoints(tmp_path)]
    end = monotonic() + 60
    while not all("Interrupted. Resume with" in log.read_text() for log in logs):
        assert monotonic() < end, "they train on"
        sleep(0.1)
    rows_of = metrics(tmp_path)
    assert len(rows_of) == 2
    for checkpoint in last_checkpoints(tmp_path):
        rows = csv.DictReader(rows_of[checkpoint.parents[1]].splitlines())
        steps = [row["step"] for row in rows if row["loss/generators_step"]]  # others are of an epoch's start or end
        loops = torch.load(checkpoint, weights_only=True)["loops"]["fit_loop"]
        # "completed" counts a batch only after the callback that may save it.
        num_batches = loops["epoch_loop.batch_progress"]["total"]["processed"]
        assert int(steps[-1]) == num_batches - 1, "the batch at work was its last, and is in the checkpoint"
