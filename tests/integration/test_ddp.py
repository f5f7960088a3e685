"""Two processes train one model: what they leave equals what one process with a batch twice as large leaves."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mri_cyclegan.train import train

pytestmark = pytest.mark.ddp

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
MODULE = ["-m", "mri_cyclegan.train"]
TWO_PROCESSES = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=1"]

WITHOUT_PICTURES = ["~callbacks.samples", "~callbacks.curves", "evaluate=false"]

# The command, but every process tells at the end what it holds.
TELLING = """
import torch
from mri_cyclegan.train import main
from mri_cyclegan.training.cyclegan import CycleGAN

def on_fit_end(self):
    torch.save({"state": self.state_dict(), "seed": torch.initial_seed()}, f"held_by_{self.trainer.global_rank}.pt")

CycleGAN.on_fit_end = on_fit_end
main()
"""

# The command, but the second process fails in its second step.
FAILING = """
from mri_cyclegan.train import main
from mri_cyclegan.training.cyclegan import CycleGAN

step = CycleGAN.training_step

def training_step(self, batch, batch_index):
    assert self.trainer.global_rank == 0 or batch_index == 0, "broken on purpose"
    step(self, batch, batch_index)

CycleGAN.training_step = training_step
main()
"""


# The command, but a loss without a gradient of the second process is not finite in its second step.
DIVERGING = TELLING.replace(
    "main()",
    """
import mri_cyclegan.training.cyclegan as module

identity_loss, calls = module.identity_loss, []

def spoiled(identity, real):
    calls.append(1)
    loss = identity_loss(identity, real)
    return loss * 0 + float("nan") if len(calls) in (3, 4) and torch.distributed.get_rank() == 1 else loss

module.identity_loss = spoiled
main()
""",
)


@pytest.fixture(scope="module")
def words(toy_overrides):
    """A toy run without chance in its networks; pools only fill, and give every fake back as it is."""
    kept = [word for word in toy_overrides if word not in ("trainer=cpu", "data.batch_size=2")]
    return [*kept, "generator.dropout=0"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, compose_run, words):
    """Folder of a run by one process with batch 2."""

    def train_alone(*further):
        folder = tmp_path_factory.mktemp("alone")
        train(compose_run(folder, *words, "trainer=cpu", "data.batch_size=2", *WITHOUT_PICTURES, *further))
        return folder

    return train_alone


def start(folder, command, words):
    """Run it in a folder of its own and in few threads: exit code and what it wrote to the screen."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PL_", "MASTER_", "WORLD_"))}
    ours = {name: value for name, value in ours.items() if name not in ("RANK", "LOCAL_RANK", "NODE_RANK")}
    done = subprocess.run(
        [sys.executable, *command, *words, *TWO_PROCESSES],
        cwd=folder,
        env=ours | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done.returncode, done.stdout + done.stderr


def weights(run_dir):
    state = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {name: value for name, value in state.items() if torch.is_tensor(value) and "pool" not in name}


def epoch_values(run_dir):
    """Means of the losses over each epoch, and validation metrics: name to values."""
    found = {}
    with (run_dir / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and (name.endswith("_epoch") or name.startswith("val/")):
                    found.setdefault(name, []).append(float(value))
    return found


def assert_same_training(together, alone):
    expected = weights(alone)
    assert weights(together).keys() == expected.keys()
    for name, value in weights(together).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=0, msg=lambda text, n=name: f"{n}: {text}")
    expected = epoch_values(alone)
    assert {"loss/generators_epoch", "loss/discriminator_a_epoch", "val/ssim", "val/psnr_ab"} <= expected.keys()
    found = epoch_values(together)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert len(values) == 2
        assert found[name] == pytest.approx(values, rel=1e-4, abs=1e-6), name


def only_run(folder):
    """The one run folder there is."""
    (run_dir,) = (folder / "outputs" / "train" / "demo").iterdir()
    return run_dir


def test_torchrun_trains_as_one_process_with_the_batches_of_both(tmp_path, words, alone):
    (tmp_path / "telling.py").write_text(TELLING)
    code, output = start(tmp_path, [*TORCHRUN, "telling.py"], [*words, *WITHOUT_PICTURES])
    assert code == 0, output
    assert output.count("2 processes, batch 1 each: effective batch 2") == 1
    assert output.count("Training on") == 1
    assert_same_training(only_run(tmp_path), alone())

    first, second = (torch.load(tmp_path / f"held_by_{rank}.pt") for rank in (0, 1))
    assert (first["seed"], second["seed"]) == (0, 1), "dropout and the pools draw differently"
    assert first["state"].keys() == second["state"].keys()
    pools = {name for name in first["state"] if name.startswith("pool")}
    assert len(pools) == 2
    for name, value in first["state"].items():
        other = second["state"][name]
        if name in pools:
            assert len(value) == len(other) == 6, "each has the fakes of its own six batches"
            assert not torch.equal(value, other)
        elif torch.is_tensor(value):
            assert torch.equal(value, other), name


@pytest.mark.slow
def test_lightning_starts_the_second_process_itself(tmp_path, words, alone):
    """Without identity passes, and with what follows training: the first process alone evaluates."""
    code, output = start(tmp_path, MODULE, [*words, "model.lambda_identity=0"])
    assert code == 0, output
    run_dir = only_run(tmp_path)
    assert_same_training(run_dir, alone("model.lambda_identity=0"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]
    names = {path.name for path in run_dir.iterdir()}
    assert {".hydra", "config.yaml", "split.json", "metrics.csv", "progress.png", "model", "evaluation"} <= names
    assert [path.name for path in run_dir.glob("*.log")] == ["train.log"]
    assert len(list((run_dir / "samples").iterdir())) == 2
    assert json.loads((run_dir / "summary.json").read_text())["measured_on"] == "2 test subjects, 2 with pairs"


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [MODULE, [*TORCHRUN, *MODULE]], ids=["lightning", "torchrun"])
def test_they_go_on_together(tmp_path, words, launcher):
    here = [*words, *WITHOUT_PICTURES, "hydra.run.dir=run", "resume=auto"]
    for num_epochs in (2, 3):
        code, output = start(tmp_path, launcher, [*here, f"trainer.max_epochs={num_epochs}"])
        assert code == 0, output
        assert output.count("Resuming from") == (num_epochs == 3)
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
    assert len(epoch_values(tmp_path / "run")["loss/generators_epoch"]) == 3


@pytest.mark.slow
def test_unfit_data_end_all_processes_with_one_message(tmp_path, words):
    scans = tmp_path / "scans"
    for number, contrast in enumerate(("T1w", "T2w", "T1w", "T2w")):
        folder = scans / f"sub-{number}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{number}_{contrast}.nii").write_bytes(b"no scan")
    kept = [word for word in words if not word.startswith(("data.phantom", "data.root"))]
    code, output = start(tmp_path, [*TORCHRUN, *MODULE], [*kept, "data=bids", f"data.root={scans}"])
    assert code != 0
    assert output.count("set data.on_unfit=skip to train without them") == 1
    assert "further process" not in output
    assert (only_run(tmp_path) / "error.txt").is_file()


@pytest.mark.slow
def test_one_process_that_fails_ends_the_other(tmp_path, words):
    (tmp_path / "failing.py").write_text(FAILING)
    code, output = start(tmp_path, ["failing.py"], [*words, *WITHOUT_PICTURES])
    assert code != 0
    assert "broken on purpose" in output
    assert not (only_run(tmp_path) / "summary.json").exists()
    left = [path for path in Path("/proc").glob("[0-9]*/cwd") if _target(path) == tmp_path]
    assert not left, "no process is left behind"


def _target(link):
    try:
        return link.resolve()
    except OSError:
        return None


@pytest.mark.slow
def test_all_skip_a_step_whose_loss_is_not_finite_in_one(tmp_path, words):
    (tmp_path / "diverging.py").write_text(DIVERGING)
    code, output = start(tmp_path, [*TORCHRUN, "diverging.py"], [*words, *WITHOUT_PICTURES])
    assert code == 0, output
    (told,) = [line for line in output.splitlines() if "is not finite" in line]
    assert "of the generators is not finite, epoch 1, batch 2; slices: " in told
    assert told.count(".nii.gz ") == 4, "of both processes: a and b of each"
    first, second = (torch.load(tmp_path / f"held_by_{rank}.pt")["state"] for rank in (0, 1))
    for name, value in first.items():
        if torch.is_tensor(value) and "pool" not in name:
            assert value.isfinite().all() and torch.equal(value, second[name]), name


@pytest.mark.slow
def test_each_goes_on_where_it_was(tmp_path, words):
    """Bit for bit, with pools and dropout: an interrupted training, and one that was not."""
    (tmp_path / "telling.py").write_text(TELLING)
    chance = ["generator.dropout=0.5", "model.pool_size=2", "callbacks.last_checkpoint.every_minutes=1e-9"]
    held = {}
    for run, epochs in (("whole", [3]), ("parts", [1, 3])):
        for number in epochs:
            here = [
                f"hydra.run.dir={run}",
                "resume=auto",
                "optimization.constant_share=1",
                f"trainer.max_epochs={number}",
            ]
            code, output = start(tmp_path, [*TORCHRUN, "telling.py"], [*words, *chance, *WITHOUT_PICTURES, *here])
            assert code == 0, output
        held[run] = [torch.load(tmp_path / f"held_by_{rank}.pt")["state"] for rank in (0, 1)]
    for whole, parts in zip(held["whole"], held["parts"]):
        for name, value in whole.items():
            assert not torch.is_tensor(value) or torch.equal(value, parts[name]), name
