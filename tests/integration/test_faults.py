"""Faults of the machine during a training: one message, nothing corrupt, and it goes on."""

import csv
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

import pytest
import torch
from commands import command, is_gone, start, wait_for
from PIL import Image

from mri_cyclegan.sweeps.jobs import run_job
from mri_cyclegan.train import train
from mri_cyclegan.training.cyclegan import CycleGAN

RESUME = "Resume with the same command and hydra.run.dir={} resume=auto"


def can_mount():
    """Whether this user may make a small disk that only his process sees."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True)
    return done.returncode == 0


needs_small_disk = pytest.mark.skipif(not can_mount(), reason="needs unshare and mount, for a small disk")


@pytest.fixture
def own_data(toy_overrides, tmp_path):
    """Toy words with slices prepared in a folder of this test."""
    return [word for word in toy_overrides if not word.startswith("data.cache_root=")] + [
        f"data.cache_root={tmp_path}/cache",
        "evaluate=false",
        "callbacks.last_checkpoint.every_minutes=0.01",
    ]


def children(pid):
    """Processes that a process has started."""
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_whole(folder):
    """Nothing half-written is left; what is there can be read."""
    for path in Path(folder).rglob("*"):
        assert not path.name.startswith(".partial"), path
        if path.suffix == ".ckpt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_text())


def assert_finished(folder, num_epochs):
    assert_whole(folder)
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == num_epochs - 1
    with (folder / "metrics.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["loss/generators_step"]]
    assert steps == list(range(3 * num_epochs)), "every batch once"


@needs_small_disk
@pytest.mark.parametrize(
    "num_kb", [40, *(pytest.param(number, marks=pytest.mark.slow) for number in (0, 200, 250, 400, 700))]
)
def test_a_disk_that_fills_up(tmp_path, own_data, num_kb):
    """So much is left: for a row of metrics.csv, a picture, the events, one checkpoint."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = " ".join(command(*own_data, f"hydra.run.dir={disk}/run"))
    script = f"""
        mount -t tmpfs -o size=40m tmpfs {disk}
        {words} trainer.max_epochs=400 > {tmp_path}/first.txt 2>&1 &
        while kill -0 $! && [ ! -f {disk}/run/checkpoints/previous.ckpt ]; do sleep 0.05; done
        free=$(df --output=avail {disk} | tail -1)
        dd if=/dev/zero of={disk}/filler bs=1K count=$((free - {num_kb})) 2> /dev/null
        wait $!; echo $? > {tmp_path}/status
        cp -r {disk}/run {tmp_path}/full
        rm {disk}/filler
        {words} trainer.max_epochs=8 resume=auto > {tmp_path}/second.txt 2>&1
        cp -r {disk}/run {tmp_path}/finished
    """
    subprocess.run(["unshare", "-rm", "bash", "-c", script], timeout=300)
    output = (tmp_path / "first.txt").read_text()
    assert (tmp_path / "status").read_text() == "1\n", output
    assert f"No space left on device. Make room on the disk of run_dir ({disk}/run)" in output
    assert RESUME.format(f"{disk}/run") in output
    assert "Traceback" not in output
    assert_whole(tmp_path / "full")
    assert_finished(tmp_path / "finished", 8)


@needs_small_disk
@pytest.mark.parametrize(
    ("options", "words", "message"),
    [
        ("ro", ["hydra.run.dir={disk}/run"], "hydra.run.dir: {disk}/run cannot be written (Read-only file system)."),
        ("ro", ["data.root={disk}/data"], "{disk}/data: Read-only file system. Give folders that can be written"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("size=40k", ["data.root={disk}/data"], "No space left on device. Make room on the disk of data.root"),
                ("size=300k", ["run_dir={disk}/run"], "run_dir: the checkpoints need 0.00 GB more, but {disk}/run"),
                ("size=300k", ["data.cache_root={disk}/cache"], "data.cache_root: the slices need 0.0 GB, but"),
            )
        ),
    ],
)
def test_a_folder_where_nothing_can_be_written(tmp_path, own_data, options, words, message):
    disk = tmp_path / "disk"
    disk.mkdir()
    words = [word.format(disk=disk) for word in words]
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o {options} tmpfs {disk} && exec "$@"', "sh"]
    typed = command(*own_data, f"hydra.run.dir={tmp_path}/run", *words)
    done = subprocess.run([*mount, *typed], capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert message.format(disk=disk) in output
    assert "Traceback" not in output


@pytest.fixture
def in_second_epoch(monkeypatch):
    """Let something happen to the machine at the start of the second epoch, once."""

    def do(happen):
        original, to_come = CycleGAN.on_train_epoch_start, [happen]

        def on_train_epoch_start(self):
            original(self)
            if self.current_epoch == 1 and to_come:
                to_come.pop()()

        monkeypatch.setattr(CycleGAN, "on_train_epoch_start", on_train_epoch_start)

    return do


@pytest.mark.parametrize("num_workers", [2, pytest.param(0, marks=pytest.mark.slow)])
def test_prepared_slices_that_vanish(tmp_path, compose_run, own_data, in_second_epoch, caplog, num_workers):
    words = [*own_data, f"data.num_workers={num_workers}"]
    with pytest.raises(SystemExit) as stop:
        in_second_epoch(lambda: shutil.rmtree(tmp_path / "cache"))
        run_job(train, compose_run(tmp_path / "run", *words, "trainer.max_epochs=3"), in_sweep=False)
    assert stop.value.code == 1
    assert "slices.npy: the prepared slices of " in caplog.text and "are gone or damaged" in caplog.text
    assert "They are prepared again when the command is repeated." in caplog.text
    assert RESUME.format(tmp_path / "run") in caplog.text and "DataLoader worker" not in caplog.text
    assert_whole(tmp_path / "run")
    train(compose_run(tmp_path / "run", *words, "resume=auto", "trainer.max_epochs=3"))
    assert_finished(tmp_path / "run", 3)


def test_a_loader_process_that_is_killed(tmp_path, compose_run, own_data, in_second_epoch, caplog):
    in_second_epoch(lambda: os.kill(children(os.getpid())[-1], signal.SIGKILL))
    with pytest.raises(SystemExit):
        run_job(train, compose_run(tmp_path, *own_data, "data.num_workers=2"), in_sweep=False)
    assert "A loader process was killed, most likely by the system because memory ran out. Lower data.n" in caplog.text
    assert RESUME.format(tmp_path) in caplog.text
    assert_whole(tmp_path)


@pytest.mark.slow
def test_lost_processes_and_files(tmp_path, own_data):
    """A loader process that the system kills, then prepared slices that vanish, then everything is there again."""
    run_dir = tmp_path / "run"
    words = [*own_data, "data.num_workers=2"]
    process = start(tmp_path, *words, f"hydra.run.dir={run_dir}", "trainer.max_epochs=400")
    wait_for((run_dir / "checkpoints" / "previous.ckpt").is_file, process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "A loader process was killed, most likely by the system because memory ran out. Lower data.num_w" in output
    assert RESUME.format(run_dir) in output and "Traceback" not in output
    assert_whole(run_dir)

    before = (run_dir / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    process = start(tmp_path, *words, f"hydra.run.dir={run_dir}", "trainer.max_epochs=400", "resume=auto")
    wait_for(lambda: (run_dir / "checkpoints" / "last.ckpt").stat().st_mtime_ns > before, process)
    shutil.rmtree(tmp_path / "cache")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "slices.npy: the prepared slices of " in output and "are gone or damaged" in output
    assert "They are prepared again when the command is repeated." in output
    assert RESUME.format(run_dir) in output and "Traceback" not in output and "DataLoader worker" not in output
    assert_whole(run_dir)

    num_epochs = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 3
    process = start(tmp_path, *words, f"hydra.run.dir={run_dir}", f"trainer.max_epochs={num_epochs}", "resume=auto")
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert_finished(run_dir, num_epochs)


@pytest.mark.slow
def test_loader_processes_end_with_a_training_that_was_killed(tmp_path, own_data):
    run_dir = tmp_path / "run"
    process = start(tmp_path, *own_data, f"hydra.run.dir={run_dir}", "data.num_workers=2", "trainer.max_epochs=400")
    wait_for((run_dir / "checkpoints" / "last.ckpt").is_file, process)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    end = monotonic() + 30
    while not all(map(is_gone, workers)):
        assert monotonic() < end
        sleep(0.1)


@pytest.fixture
def memory_for(monkeypatch):
    """Let memory hold so many slices of each contrast."""

    def limit(number):
        original = CycleGAN.generate

        def generate(self, real_a, real_b, weights):
            if len(real_a) > number:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return original(self, real_a, real_b, weights)

        monkeypatch.setattr(CycleGAN, "generate", generate)

    return limit


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            3,
            r"not hold a training batch of 8 slices of each contrast; tried: 3 fit\. Set data\.batch_size=3 .*=3 about",
        ),
        (7, r"tried: 7 fit\. Set data\.batch_size=7 \(with optimization\.accumulate_batches=2"),
        (0, r"of 8 slices of each contrast, nor one of a single slice\. Lower data\.image_size"),
    ],
)
def test_the_largest_batch_that_memory_holds_is_tried_and_told(
    tmp_path, compose_run, toy_overrides, memory_for, number, message
):
    memory_for(number)
    with pytest.raises(ValueError, match=message):
        train(compose_run(tmp_path, *toy_overrides, "data.batch_size=8", "evaluate=false"))


def test_too_large_a_validation_batch_is_told(tmp_path, compose_run, toy_overrides, monkeypatch):
    def validation_step(self, batch, batch_index):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(CycleGAN, "validation_step", validation_step)
    with pytest.raises(ValueError, match=r"This machine's memory does not hold a validation batch of \d+ slices"):
        train(compose_run(tmp_path, *toy_overrides, "evaluate=false"))
