"""The table at the end of a run."""

import shlex
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mri_cyclegan.evaluation.protocol import DIRECTIONS


def print_summary(run_dir: Path, contrasts: tuple[str, ...], summary: dict[str, Any]) -> None:
    """Print metrics beside the baselines, and where the run's files are.

    Args:
        run_dir: folder of the run.
        contrasts: names of contrast a and b.
        summary: content of ``summary.json``.
    """
    console = Console()
    means = summary["mean"]
    if means:
        table = Table(title=f"Foreground PSNR and SSIM, {summary['measured_on']}")
        table.add_column("method")
        for source, target in (contrasts, contrasts[::-1]):
            table.add_column(f"{source} → {target}\nPSNR (dB)", justify="right")
            table.add_column("\nSSIM", justify="right")
        for method, by_way in means.items():
            table.add_row(
                method, *(_format(metric, by_way[way][metric]) for way in DIRECTIONS for metric in ("psnr", "ssim"))
            )
        for baseline in list(means)[1:]:
            table.add_row(
                f"gain over {baseline}",
                *(
                    _format(metric, means["CycleGAN"][way][metric] - means[baseline][way][metric], signed=True)
                    for way in DIRECTIONS
                    for metric in ("psnr", "ssim")
                ),
                style="dim",
            )
        console.print(table)
        console.print(verdict(means, contrasts))
        console.print(f"{'weights':<12}{summary['weights']}")
    for label, path in (
        ("pictures", run_dir / "samples"),
        ("curves", run_dir / "progress.png"),
        ("model", run_dir / "model"),
        ("numbers", run_dir / "summary.json"),
    ):
        console.print(f"{label:<12}{path}", soft_wrap=True, highlight=False)
    if (run_dir / "tensorboard").is_dir():
        command = shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(run_dir)])
        console.print(f"{'TensorBoard':<12}{command}", soft_wrap=True, highlight=False)


def verdict(means: dict[str, dict[str, dict[str, float]]], contrasts: tuple[str, ...]) -> str:
    """Say in words where the model, the first entry of ``means``, does not beat a baseline."""
    names = {"ab": " → ".join(contrasts), "ba": " → ".join(contrasts[::-1])}
    lost = [
        f"{names[way]} {metric.upper()} is not above {baseline}"
        for baseline in list(means)[1:]
        for way in DIRECTIONS
        for metric in ("psnr", "ssim")
        if means["CycleGAN"][way][metric] <= means[baseline][way][metric]
    ]
    return (
        "Not good enough: " + "; ".join(lost) + "."
        if lost
        else "Both directions beat copy and mean intensity in both metrics."
    )


def _format(metric: str, value: float, signed: bool = False) -> str:
    return f"{value:{'+' if signed else ''}.{2 if metric == 'psnr' else 3}f}"
