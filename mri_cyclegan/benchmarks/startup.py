"""Part ``startup``: how long a user waits until something happens."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mri_cyclegan.benchmarks.measurement import cpu_description, machine, summarize
from mri_cyclegan.configuration.build import build
from mri_cyclegan.configuration.schema import compose_training
from mri_cyclegan.data.datamodule import MRIDataModule
from mri_cyclegan.data.formats.nifti import write_volume

HELP = ("--help",)

# The demo with fewer subjects, since the phantom takes a while to generate. All validation subjects stay: they are
# used before the first step.
DEMO = ("+experiment=demo", "data.phantom.num_train=4", "data.phantom.num_test=0")

# Saves a checkpoint after the first step.
FIRST_STEP = (
    "+callbacks.first_step._target_=pytorch_lightning.callbacks.ModelCheckpoint",
    "+callbacks.first_step.dirpath=${run_dir}",
    "+callbacks.first_step.filename=first_step",
    "+callbacks.first_step.every_n_train_steps=1",
)

# Scans so small that only their number matters.
SIDE, SPACING_MM = 24, 8.0
SCANS = ("data=bids", f"data.spacing_mm={SPACING_MM}", "data.image_size=32")

# Measurement to its label in the table.
LABELS = {
    "help": "train --help",
    "first_step": "train +experiment=demo, first step",
    "prepare_data": "cached volumes: find and check",
    "setup": "cached volumes: split and open",
    "first_batch": "cached volumes: first batch",
    "data_module": "cached volumes: all three",
}


def benchmark_startup(output_dir: Path, num_volumes: int, repeats: int) -> dict[str, Any]:
    """Measure, write ``startup.json``, and print a table.

    The first step is that of the demo with fewer training subjects, after phantom and slices have been made. A
    checkpoint shows from outside that the step has ended; saving it is included, so the time is an upper bound.

    Args:
        output_dir: created if it does not exist.
        num_volumes: cached scans that a data module opens, half of them of each contrast.
        repeats: number of measurements of each.

    Returns:
        Content of ``startup.json``.

    Raises:
        ValueError: there are too few volumes or repeats, or a training ended before its first step.
    """
    if num_volumes < 6 or num_volumes % 2 or repeats < 1:
        given = f"{num_volumes} and {repeats}"
        raise ValueError(
            f"startup.num_volumes, startup.repeats: expected an even number from 6 and at least 1, got {given}."
        )
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir) as name:
        folder = Path(name).resolve()
        measured = {
            "help": measure_help(folder, repeats),
            "first_step": measure_first_step(folder / "demo", repeats),
            **measure_data_module(folder / "scans", num_volumes, repeats),
        }
    result = {
        "part": "startup",
        "settings": {
            "training": list(DEMO),
            "scans": list(SCANS),
            "num_volumes": num_volumes,
            "volume_shape": [SIDE] * 3,
            "repeats": repeats,
        },
        "machine": machine(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "seconds": {name: summarize(values) for name, values in measured.items()},
    }
    (output_dir / "startup.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print_table(result, output_dir)
    return result


def _command(overrides: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "mri_cyclegan.train", *overrides]


def measure_help(folder: Path, repeats: int) -> list[float]:
    """Seconds until ``--help`` has answered and exited; drops the first run, which reads the program from disk."""
    taken = []
    for _ in range(repeats + 1):
        start = perf_counter()
        subprocess.run(_command(HELP), cwd=folder, stdout=subprocess.DEVNULL, check=True)
        taken.append(perf_counter() - start)
    return taken[1:]


def measure_first_step(folder: Path, repeats: int) -> list[float]:
    """Seconds from the command to the end of its first step, after phantom and slices have been made."""
    data_module(DEMO, folder).prepare_data()
    return [first_step_s(folder, f"run-{number}") for number in range(repeats)]


def first_step_s(folder: Path, run: str) -> float:
    """Measure one first step as in :func:`measure_first_step`, then stop the training.

    Raises:
        ValueError: the training ended before its first step.
    """
    # Relative paths, since the absolute path may contain characters that Hydra would interpret.
    overrides = [*DEMO, *FIRST_STEP, "data.root=data", "data.cache_root=cache", f"hydra.run.dir={run}"]
    with (folder / f"{run}.txt").open("w+", encoding="utf-8") as output:
        start = perf_counter()
        process = subprocess.Popen(_command(overrides), cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            while not (folder / run / "first_step.ckpt").exists():
                if process.poll() is not None:
                    output.seek(0)
                    raise ValueError(f"The training ended before its first step:\n{output.read()}")
                time.sleep(0.01)
            return perf_counter() - start
        finally:
            process.terminate()
            process.wait()


def data_module(overrides: Sequence[str], folder: Path) -> MRIDataModule:
    """The data module of a training, with its scans and cached slices in ``folder``."""
    config = compose_training(overrides)
    config.data.root, config.data.cache_root = str(folder / "data"), str(folder / "cache")
    return build(config.data)


def measure_data_module(folder: Path, num_volumes: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each step up to the first batch, and of all together, with all slices already cached."""
    write_scans(folder / "data", num_volumes)
    data_module(SCANS, folder).prepare_data()
    measured = [_until_first_batch(data_module(SCANS, folder)) for _ in range(repeats)]
    return {name: [of[name] for of in measured] for name in measured[0]}


def write_scans(root: Path, num_volumes: int) -> None:
    """Write a BIDS data set of balls of noise, all different; each subject has both contrasts."""
    random = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 3, indexing="ij", sparse=True)
    ball = np.sqrt(sum(axis**2 for axis in axes)) < 0.8
    for number in range(num_volumes // 2):
        subject = f"sub-{number:05d}"
        (root / subject / "anat").mkdir(parents=True)
        for contrast in ("T1w", "T2w"):
            image = np.where(ball, random.uniform(100, 1000, ball.shape), 0).astype(np.int16)
            affine = np.diag([SPACING_MM] * 3 + [1.0])
            write_volume(root / subject / "anat" / f"{subject}_{contrast}.nii.gz", image, affine)
    description = '{"Name": "Balls of noise", "BIDSVersion": "1.9.0"}\n'
    (root / "dataset_description.json").write_text(description, encoding="utf-8")


def _until_first_batch(module: MRIDataModule) -> dict[str, float]:
    ends = [perf_counter()]
    for work in (module.prepare_data, module.setup, lambda: next(iter(module.train_dataloader()))):
        work()
        ends.append(perf_counter())
    steps = {name: ends[at + 1] - ends[at] for at, name in enumerate(("prepare_data", "setup", "first_batch"))}
    return {**steps, "data_module": ends[-1] - ends[0]}


def print_table(result: Mapping[str, Any], output_dir: Path) -> None:
    """Print the seconds, and the path of the file."""
    settings, of_machine = result["settings"], result["machine"]
    console = Console()
    table = Table(
        title=f"Seconds at the start; {settings['num_volumes']} cached volumes",
        caption=f"Each measured {settings['repeats']} times; {of_machine['device']}, {cpu_description(of_machine)}.",
    )
    table.add_column("what")
    for heading in ("median", "smallest", "largest"):
        table.add_column(heading, justify="right")
    for name, label in LABELS.items():
        of = result["seconds"][name]
        table.add_row(label, *(f"{of[key]:.2f}" for key in ("median", "min", "max")))
    console.print(table)
    console.print(f"numbers     {output_dir / 'startup.json'}", soft_wrap=True, highlight=False)
