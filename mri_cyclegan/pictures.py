"""Figures of a run, drawn without any global plotting state."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mri_cyclegan.filesystem import atomic_write_bytes
from mri_cyclegan.text import terminal_safe

# One row of a sample grid: its label, and its pictures by column title, (H, W) in [-1, 1]; None leaves a gap.
Row = tuple[str, Mapping[str, np.ndarray | None]]


def sample_grid(rows: Sequence[Row], title: str) -> Figure:
    """Pictures side by side, all in the same intensity window [-1, 1]; each row has its own column titles."""
    num_columns = max(len(pictures) for _, pictures in rows)
    width, height = 1.9 * num_columns + 0.3, 2.05 * len(rows) + 0.35
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.suptitle(title, fontsize=10, y=1 - 0.1 / height, verticalalignment="top")
    # One set of axes, in inches, for all pictures: separate axes take ten times as long.
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for number, (label, pictures) in enumerate(rows):
        top = 0.55 + 2.05 * number
        # A dollar sign in a name does not start a formula.
        axes.text(
            0.15, top + 0.9, terminal_safe(label), fontsize=7, parse_math=False, rotation=90, ha="center", va="center"
        )
        for column, (name, picture) in enumerate(pictures.items()):
            if picture is None:
                continue
            left = 0.3 + 1.9 * column
            axes.text(
                left + 0.9, top - 0.04, terminal_safe(name), fontsize=8, parse_math=False, ha="center", va="bottom"
            )
            shown_height, shown_width = np.multiply(picture.shape, 1.8 / max(picture.shape))
            indent = left + (1.8 - shown_width) / 2
            extent = (indent, indent + shown_width, top + shown_height, top)
            axes.imshow(picture, cmap="gray", vmin=-1, vmax=1, interpolation="nearest", extent=extent, aspect="auto")
    return figure


def learning_curves(history: Sequence[Mapping[str, float]], baselines: Mapping[str, Mapping[str, float]]) -> Figure:
    """Plot losses and validation metrics by epoch.

    Args:
        history: for each epoch, ``epoch`` and the values of ``loss/…`` and ``val/…``.
        baselines: method name to ``val/…`` values, drawn as dashed lines.
    """
    figure = Figure(figsize=(11, 6.5), facecolor="white")
    figure.subplots_adjust(left=0.05, bottom=0.08, right=0.985, top=0.95, wspace=0.2, hspace=0.32)
    panels = {
        "Generators: adversarial": ["loss/adversarial_ab", "loss/adversarial_ba"],
        "Generators: cycle, identity": ["loss/cycle_a", "loss/cycle_b", "loss/identity_a", "loss/identity_b"],
        "Discriminators": ["loss/discriminator_a", "loss/discriminator_b"],
        "Validation PSNR (dB)": ["val/psnr_ab", "val/psnr_ba"],
        "Validation SSIM": ["val/ssim_ab", "val/ssim_ba"],
    }
    for number, (title, names) in enumerate(panels.items()):
        axes = figure.add_subplot(2, 3, number + 1)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch", fontsize=8)
        axes.grid(alpha=0.3)
        for color, name in enumerate(names):
            points = [(row["epoch"] + 1, row[name]) for row in history if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), ".-", color=f"C{color}", label=name.split("/")[1])
            for style, (method, values) in zip(("--", ":"), baselines.items(), strict=False):
                if name in values:
                    label = f"{method} {name[-2:]}"
                    axes.axhline(values[name], linestyle=style, color=f"C{color}", alpha=0.7, label=label)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def save_png(figure: Figure, path: Path) -> np.ndarray:
    """Write the figure and return it as (H, W, 3) uint8."""
    png = to_png(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, png)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
