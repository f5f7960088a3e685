"""The runs of a sweep, best first."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from mri_cyclegan.evaluation.comparison import read_evaluation
from mri_cyclegan.evaluation.protocol import METRICS


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        folder: of the run.
        overrides: keys of its command line to their values.
        metrics: such as ``ssim`` (mean of all directions), ``ssim_ab``, ``ssim_ba``, over the foreground.
    """

    folder: Path
    overrides: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Leaderboard:
    """Runs in order of a metric.

    Attributes:
        entries: best first.
        metric: that they are ordered by.
        differing: keys of overrides that are not the same in all runs.
        left_out: what was found and cannot be ranked, and why.
    """

    entries: list[Entry]
    metric: str
    differing: list[str]
    left_out: list[str]

    def as_csv(self) -> str:
        """A row for each run."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        names = sorted({name for entry in self.entries for name in entry.metrics})
        writer.writerow(["rank", "run", *self.differing, *names])
        for rank, entry in enumerate(self.entries, start=1):
            overrides = [entry.overrides.get(key, "") for key in self.differing]
            writer.writerow([rank, entry.folder, *overrides, *(entry.metrics.get(name, "") for name in names)])
        return table.getvalue()


def rank_runs(root: Path, metric: str = "ssim") -> Leaderboard:
    """Read every evaluated run below a folder.

    Args:
        root: such as the folder of a sweep.
        metric: of :data:`mri_cyclegan.evaluation.protocol.METRICS`, such as ``ssim`` for the mean of all directions,
            ``ssim_ab`` or ``ssim_ba`` for one.

    Raises:
        ValueError: the metric is unknown, or no evaluated run is there.
    """
    name = metric.removesuffix("_ab").removesuffix("_ba")
    if name not in METRICS:
        raise ValueError(f"--metric: expected one of {', '.join(METRICS)}, perhaps with _ab or _ba; got {metric!r}.")
    entries, left_out = [], []
    for config in sorted(root.rglob("config.yaml")):
        if config.parent.name == ".hydra":
            continue
        try:
            entry = _entry(config.parent)
        except ValueError as error:
            left_out.append(str(error))
            continue
        if metric in entry.metrics:
            entries.append(entry)
        else:
            left_out.append(f"{entry.folder}: no {metric}, since it was evaluated without pairs.")
    if not entries:
        reasons = "".join(f"\n- {reason}" for reason in left_out)
        raise ValueError(f"{root}: no evaluated run is below it. Give the folder of a sweep.{reasons}")
    best_first = sorted(entries, key=lambda entry: entry.metrics[metric], reverse=METRICS[name].higher_is_better)
    return Leaderboard(best_first, metric, _differing(entries), left_out)


def _entry(folder: Path) -> Entry:
    content = read_evaluation(folder / "evaluation")
    metrics: dict[str, float] = {}
    for name in METRICS:
        means = {
            way: methods[content["method"]]["foreground"][name]["mean"]
            for way, methods in content["summary"].items()
            if methods
        }
        metrics |= {f"{name}_{way}": value for way, value in means.items()}
        if means:
            metrics[name] = sum(means.values()) / len(means)
    return Entry(folder, _overrides(folder), metrics)


def _overrides(folder: Path) -> dict[str, str]:
    path = folder / ".hydra" / "overrides.yaml"
    words = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {key.lstrip("+~"): value for key, _, value in (str(word).partition("=") for word in words or [])}


def _differing(entries: Sequence[Entry]) -> list[str]:
    keys = sorted({key for entry in entries for key in entry.overrides})
    return [key for key in keys if len({entry.overrides.get(key) for entry in entries}) > 1]
