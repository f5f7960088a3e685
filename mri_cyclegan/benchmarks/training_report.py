"""Table and chart of the training benchmark."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from mri_cyclegan.benchmarks.measurement import cpu_description, median_and_range


def print_table(result: dict[str, Any], output_dir: Path) -> None:
    """Print speeds, ratios, and the paths of the files.

    Args:
        result: returned by :func:`mri_cyclegan.benchmarks.training.benchmark_training`.
        output_dir: folder of the files.
    """
    settings, machine = result["settings"], result["machine"]
    console = Console()
    for of in result["by_batch_size"]:
        size = of["image_size"]
        table = Table(
            title=f"Training {settings['experiment']}: images a second, {size}×{size}, batch size {of['batch_size']}",
            caption=f"Median (smallest to largest) of {settings['num_rounds']} rounds of {settings['num_steps']} "
            f"steps; {machine['device']}, {cpu_description(machine)}, "
            f"ours in {of['precision']}{', compiled' if of['compiled'] else ''}, the naive step in float32.",
        )
        for heading in ("", "images a second", "times the naive step", "share of the matrix rate"):
            table.add_column(heading, justify="left" if not heading else "right")
        for name, speed in of["images_per_s"].items():
            table.add_row(
                name,
                median_and_range(speed, 2),
                f"{of['times_naive'][name]:.2f}",
                f"{100 * of['share_of_matrix_rate'][name]:.0f} %",
            )
        console.print(table)
        console.print(f"{of['flops_per_pair'] / 1e9:.2f} GFLOP a pair", highlight=False)
        if of["end_to_end_share"] is not None:
            console.print(
                f"end to end {100 * of['end_to_end_share']:.0f} % of the bare step's speed, "
                f"waiting for data {100 * of['waiting_share']:.1f} % of the time",
                highlight=False,
            )
        for kernel in of["top_kernels"] or ():
            console.print(f"  {100 * kernel['share']:5.1f} %  {kernel['name']}", highlight=False, soft_wrap=True)
    for label, file in (("speed", "train.png"), ("numbers", "train.json")):
        console.print(f"{label:<12}{output_dir / file}", soft_wrap=True, highlight=False)


def speed_chart(result: dict[str, Any]) -> Figure:
    """Plot images per second of each candidate by batch size."""
    measured = result["by_batch_size"]
    figure = Figure(figsize=(7, 4.2), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    names = list(measured[0]["images_per_s"])
    places, width = np.arange(len(measured)), 0.8 / len(names)
    for number, name in enumerate(names):
        speeds = [of["images_per_s"][name] for of in measured]
        medians = np.array([speed["median"] for speed in speeds])
        reach = [
            [speed["median"] - speed["min"] for speed in speeds],
            [speed["max"] - speed["median"] for speed in speeds],
        ]
        axes.bar(places + number * width, medians, width, yerr=reach, label=name, capsize=3)
    axes.set_xticks(places + 0.4 - width / 2, [f"batch size {of['batch_size']}" for of in measured])
    axes.set_ylabel("images a second")
    machine = result["machine"]
    axes.set_title(
        f"{result['settings']['experiment']}, {measured[0]['image_size']}×{measured[0]['image_size']}, "
        f"{machine['device']}, {machine['num_threads']} threads",
        fontsize=10,
    )
    axes.legend(fontsize=8)
    axes.grid(axis="y", alpha=0.3)
    return figure
