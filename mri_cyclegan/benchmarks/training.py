"""Part ``train``: images per second in training, compared with the naive step and a reference implementation."""

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mri_cyclegan.benchmarks.measurement import machine, matrix_rate, summarize, take_turns
from mri_cyclegan.benchmarks.reference import Reference
from mri_cyclegan.benchmarks.training_candidates import EndToEnd, NaiveCandidate, OurStep, count_flops, device_of
from mri_cyclegan.benchmarks.training_report import print_table, speed_chart
from mri_cyclegan.configuration.checks import resolve_and_check
from mri_cyclegan.configuration.schema import DictConfig, compose_training
from mri_cyclegan.pictures import save_png
from mri_cyclegan.runs.log_filters import filter_lightning_logs

OURS, NAIVE, END_TO_END, REFERENCE = "ours", "naive", "ours, end to end", "reference"


def benchmark_training(
    output_dir: Path,
    experiment: str,
    overrides: Sequence[str],
    batch_sizes: Sequence[int | None],
    num_steps: int,
    num_rounds: int,
    end_to_end: bool,
    reference: str | None,
) -> dict[str, Any]:
    """Measure, write ``train.json`` and ``train.png``, and print a table.

    Args:
        output_dir: created if it does not exist.
        experiment: its networks, losses and data are used.
        overrides: further training overrides.
        batch_sizes: measured one after another; None is the experiment's.
        num_steps: steps measured per round.
        num_rounds: rounds in which candidates take turns; the median over rounds counts.
        end_to_end: whether to also measure with the real data and the work between training steps.
        reference: checkout for :class:`mri_cyclegan.benchmarks.reference.Reference`, or None.

    Returns:
        Content of ``train.json``.

    Raises:
        ValueError: a setting cannot be measured.
    """
    if num_steps < 1 or num_rounds < 1 or not batch_sizes:
        given = f"{num_steps}, {num_rounds} and {list(batch_sizes)}"
        raise ValueError(f"train.num_steps, train.num_rounds, train.batch_sizes: expected 1 or more, got {given}.")
    filter_lightning_logs()
    torch.set_float32_matmul_precision("high")  # as in a training
    output_dir.mkdir(parents=True, exist_ok=True)
    measured = []
    for batch_size in batch_sizes:
        with tempfile.TemporaryDirectory(dir=output_dir) as folder:
            config = _compose(experiment, overrides, batch_size, Path(folder))
            measured.append(_measure(config, num_steps, num_rounds, end_to_end, reference))
    device = device_of(config)
    result = {
        "part": "train",
        "settings": {
            "experiment": experiment,
            "overrides": list(overrides),
            "num_steps": num_steps,
            "num_rounds": num_rounds,
            "reference": reference,
        },
        "machine": machine(device),
        "by_batch_size": measured,
    }
    (output_dir / "train.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    save_png(speed_chart(result), output_dir / "train.png")
    print_table(result, output_dir)
    return result


def _compose(experiment: str, overrides: Sequence[str], batch_size: int | None, run_dir: Path) -> DictConfig:
    words = [f"+experiment={experiment}", f"run_dir={run_dir}", *overrides]
    if batch_size is not None:
        words.append(f"data.batch_size={batch_size}")
    return resolve_and_check(compose_training(words))


def _measure(
    config: DictConfig, num_steps: int, num_rounds: int, end_to_end: bool, reference: str | None
) -> dict[str, Any]:
    """Measure every candidate with one batch size."""
    ours = OurStep(config)
    naive = NaiveCandidate(config, ours.device)
    flops = count_flops(naive)
    candidates: dict[str, Callable[[], float]] = {
        OURS: partial(ours.step_s, num_steps),
        NAIVE: partial(naive.step_s, num_steps),
    }
    whole = EndToEnd(config) if end_to_end else None
    if whole is not None:
        candidates[END_TO_END] = partial(whole.step_s, num_steps)
    if reference is not None:
        candidates[REFERENCE] = partial(Reference(Path(reference), config, ours.device).step_s, num_steps)
    step_s = take_turns(candidates, num_rounds)
    medians = {name: summarize(values)["median"] for name, values in step_s.items()}
    batch_size = config.data.batch_size
    most = matrix_rate(ours.device, ours.dtype)
    return {
        "batch_size": batch_size,
        "image_size": config.data.image_size,
        "precision": ours.trainer_precision,
        "compiled": ours.model.compiled,
        "images_per_s": {
            name: summarize([2 * batch_size / value for value in values]) for name, values in step_s.items()
        },
        "times_naive": {name: medians[NAIVE] / median for name, median in medians.items()},
        "end_to_end_share": medians[OURS] / medians[END_TO_END] if end_to_end else None,
        "waiting_share": whole.waiting_share if whole is not None else None,
        "flops_per_pair": flops / batch_size,
        "matrix_flops_per_s": most,
        "share_of_matrix_rate": {name: flops / median / most for name, median in medians.items()},
        "step_gpu_memory_bytes": {OURS: ours.gpu_bytes, NAIVE: naive.gpu_bytes},
        "top_kernels": ours.top_kernels(num_steps) if ours.device.type == "cuda" else None,
    }
