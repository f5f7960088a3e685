"""Figures of the report, drawn without matplotlib's global state."""

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette, distinguishable with any color vision; each color has its own marker.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = ("o", "s", "^", "D", "v", "P")
OTHERS = "#8a8f98"
INK = "#24292f"

# Scatter plots with more points are rasterized, so that the file stays small for any data set.
MAX_VECTOR_POINTS = 200

# Half-width of the 95 % limits of agreement, in standard deviations.
LIMITS = 1.96


def box_plot(values: Mapping[str, Sequence[float]], label: str) -> Figure:
    """Box plot of each method: quartiles, median and one point per subject.

    Args:
        values: method to one value per subject; the evaluated method comes first.
        label: label of the value axis.
    """
    figure = _figure(height=0.75 + 0.32 * len(values))
    axes = _axes(figure)
    for row, numbers in enumerate(values.values()):
        color = COLORS[0] if row == 0 else OTHERS
        low, middle, high = np.quantile(numbers, [0.25, 0.5, 0.75])
        axes.barh(row, high - low, left=low, height=0.62, color=color, alpha=0.22, edgecolor=color, linewidth=0.8)
        axes.plot([middle, middle], [row - 0.31, row + 0.31], color=color, linewidth=2, solid_capstyle="butt")
        # Golden-ratio steps spread the points without randomness.
        heights = row + 0.44 * ((np.arange(len(numbers)) * 0.618 + 0.5) % 1 - 0.5)
        _points(axes, numbers, heights, color=color, s=11, alpha=0.75)
    axes.set_yticks(range(len(values)), list(values))
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color="#d0d7de", linewidth=0.6)
    return figure


def bland_altman(pairs: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Difference of output and truth against their mean; lines and bands show each tissue's bias and limits.

    Args:
        pairs: tissue to one (truth, output) per subject, mean intensities in [0, 1].

    Reference:
        Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
        Lancet 1986.
    """
    figure = _figure(height=2.9)
    axes = _axes(figure)
    axes.axhline(0, color=INK, linewidth=0.8)
    for number, (tissue, values) in enumerate(pairs.items()):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        target, output = np.array(values, dtype=float).T
        means, differences = (target + output) / 2, output - target
        bias, limit = bias_and_limit(differences)
        span = [means.min() - 0.01, means.max() + 0.01]
        if limit is not None:
            axes.fill_between(span, bias - limit, bias + limit, color=color, alpha=0.14, linewidth=0)
        axes.plot(span, [bias, bias], color=color, linewidth=1.6)
        _points(axes, means, differences, color=color, marker=marker, s=14, alpha=0.85, label=tissue)
    axes.set_xlabel("mean of output and truth")
    axes.set_ylabel("output − truth")
    axes.grid(color="#d0d7de", linewidth=0.6)
    legend = figure.legend(loc="outside upper center", ncols=len(pairs), frameon=False, fontsize=8.5, handletextpad=0.2)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a dollar sign in a name is not math
    return figure


def bias_and_limit(differences: np.ndarray) -> tuple[float, float | None]:
    """Mean difference, and half-width of the 95 % limits of agreement around it (None for a single subject)."""
    limit = LIMITS * float(differences.std(ddof=1)) if len(differences) > 1 else None
    return float(differences.mean()), limit


def calibration_curve(points: Sequence[Mapping[str, float]]) -> Figure:
    """Mean error against estimated uncertainty, with the diagonal on which they are equal.

    Args:
        points: bins of voxels, each with ``spread``, ``error`` and ``share`` of all voxels; marker areas show shares.
    """
    figure = _figure(height=2.9)
    axes = _axes(figure)
    stds, errors, shares = (np.array([point[key] for point in points]) for key in ("spread", "error", "share"))
    most = 1.08 * max(stds.max(), errors.max(), 1e-6)
    axes.plot([0, most], [0, most], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="equal")
    axes.plot(stds, errors, color=COLORS[0], linewidth=1.4)
    axes.scatter(stds, errors, s=12 + 160 * shares, color=COLORS[0], linewidths=0, label="measured", zorder=3)
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="uncertainty (standard deviation)", ylabel="mean absolute error")
    axes.grid(color="#d0d7de", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8.5)
    return figure


def svg_uri(figure: Figure) -> str:
    """The figure as an SVG in a data URI, so that its content cannot collide with the page or another figure."""
    content = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()


def _figure(height: float) -> Figure:
    return Figure(figsize=(4.1, height), facecolor="white", layout="constrained", dpi=144)


def _axes(figure: Figure) -> Axes:
    axes = figure.add_subplot()
    axes.tick_params(labelsize=8.5, colors=INK, length=0)
    axes.xaxis.label.set(size=8.5, color=INK)
    axes.yaxis.label.set(size=8.5, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#8a8f98")
    axes.set_axisbelow(True)
    return axes


def _points(axes: Axes, x: Sequence[float] | np.ndarray, y: np.ndarray, **style: object) -> None:
    axes.scatter(x, y, linewidths=0, zorder=3, rasterized=len(x) > MAX_VECTOR_POINTS, **style)  # type: ignore[arg-type]
