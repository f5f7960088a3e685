"""Table and chart of the loader benchmark."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from mri_cyclegan.benchmarks.measurement import cpu_description, median_and_range


def print_table(result: dict[str, Any], output_dir: Path) -> None:
    """Print speeds, ratios, and the paths of the files.

    Args:
        result: returned by :func:`mri_cyclegan.benchmarks.loader.benchmark_loader`.
        output_dir: folder of the files.
    """
    settings, machine = result["settings"], result["machine"]
    console = Console()
    size = settings["image_size"]
    table = Table(
        title=f"Slices a second, {size}×{size}, batch size {settings['batch_size']}",
        caption=f"Median (smallest to largest) of {settings['repeats']} epochs of {settings['num_slices']} slices; "
        f"{cpu_description(machine)}.",
    )
    table.add_column("loader")
    for number in next(iter(result["slices_per_s"].values())):
        table.add_column(f"num_workers={number}", justify="right")
    for name, speeds in result["slices_per_s"].items():
        table.add_row(name, *(median_and_range(of, 0) for of in speeds.values()))
    console.print(table)
    console.print("Ours / MONAI, each with its best num_workers")
    for name, ratio in result["ratios"].items():
        console.print(f"  {name:<32}{ratio:.2f}", highlight=False)
    for label, file in (("waiting", "loader.png"), ("numbers", "loader.json")):
        console.print(f"{label:<12}{output_dir / file}", soft_wrap=True, highlight=False)


def waiting_chart(result: dict[str, Any]) -> Figure:
    """Plot the share of an epoch spent waiting for data against the device's step time."""
    settings = result["settings"]
    figure = Figure(figsize=(7, 4.2), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for name, shares in result["waiting_share"].items():
        if name == "MONAI, raw from memory":  # slices that would still have to be augmented
            continue
        label = f"{name}, num_workers={result['best_num_workers'][name]}"
        axes.plot(settings["device_step_ms"], [100 * share for share in shares], "o-", label=label)
    axes.set_xscale("log")
    axes.set_xticks(settings["device_step_ms"], [f"{step_ms:g}" for step_ms in settings["device_step_ms"]])
    axes.minorticks_off()
    axes.set_xlabel("time of the device for a step (ms)")
    axes.set_ylabel("share of the time spent waiting for data (%)")
    axes.set_ylim(-2, 102)
    axes.set_title(
        f"{settings['image_size']}×{settings['image_size']}, batch size {settings['batch_size']}, "
        f"{result['machine']['num_cores']} cores",
        fontsize=10,
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
