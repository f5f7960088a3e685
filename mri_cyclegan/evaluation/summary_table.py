"""Evaluations on the screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mri_cyclegan.evaluation.comparison import Differences
from mri_cyclegan.evaluation.leaderboard import Leaderboard
from mri_cyclegan.evaluation.protocol import METRICS

# The report has them all.
SHOWN = ("psnr", "ssim")
LEVEL_STYLES = {"green": "green", "amber": "yellow", "red": "bold red", "unknown": "dim"}


def print_evaluation(content: Mapping[str, Any], folder: Path) -> None:
    """Print where the model stands, its metrics beside the reference methods, its audits, and where the files are.

    Args:
        content: of ``metrics.json``.
        folder: of the results.
    """
    console = Console()
    for way, (source, target) in content["directions"].items():
        if content["summary"][way]:
            console.print(_results_table(f"{source} → {target}", content["summary"][way], content))
    console.print(_audit_table(content))
    for warning in content["warnings"]:
        console.print(Text(warning, "yellow"), soft_wrap=True)
    for sentence in content["verdict"]:
        console.print(Text(sentence, "bold"), soft_wrap=True)
    console.print(Text(f"report      {folder / 'report.html'}"), soft_wrap=True)
    console.print(Text(f"numbers     {folder / 'metrics.json'}"), soft_wrap=True)


def _results_table(name: str, of_direction: Mapping[str, Any], content: Mapping[str, Any]) -> Table:
    num_subjects = sum(any(values["metrics"] for values in s["ways"].values()) for s in content["subjects"])
    table = Table(title=f"{name}, foreground, {num_subjects} {content['part']} subjects: mean [95 % interval]")
    table.add_column("method")
    for metric in SHOWN:
        unit = f" ({METRICS[metric].unit})" if METRICS[metric].unit else ""
        table.add_column(METRICS[metric].label + unit, justify="right")
    for method, regions in of_direction.items():
        cells = [_with_interval(metric, regions["foreground"][metric]) for metric in SHOWN]
        table.add_row(method, *cells, style="bold" if method == content["method"] else "")
    return table


def _with_interval(metric: str, values: Mapping[str, float]) -> str:
    digits = METRICS[metric].digits
    return f"{values['mean']:.{digits}f} [{values['low']:.{digits}f}, {values['high']:.{digits}f}]"


def _audit_table(content: Mapping[str, Any]) -> Table:
    table = Table(title="Audits", expand=False)
    for column in ("audit", "direction", "", "figure"):
        table.add_column(column, overflow="fold")
    for audit in content["audits"]:
        way = "" if audit["way"] is None else " → ".join(content["directions"][audit["way"]])
        table.add_row(audit["name"], way, Text(audit["level"], LEVEL_STYLES[audit["level"]]), Text(audit["figure"]))
    return table


def print_comparison(
    differences: Differences, directions: Mapping[str, Sequence[str]], folders: tuple[Path, Path]
) -> None:
    """Print paired differences, second minus first."""
    console = Console()
    for way, names in directions.items():
        metrics = differences[way]
        count = next(iter(metrics.values()))["num_subjects"]
        table = Table(title=f"{' → '.join(names)}, foreground, the same {count} subjects")
        table.add_column("metric")
        for column in (folders[0].name, folders[1].name, "difference [95 % interval]", "Wilcoxon p", "better"):
            table.add_column(column, justify="right", overflow="fold")
        for metric, values in metrics.items():
            digits = METRICS[metric].digits
            table.add_row(
                METRICS[metric].label,
                f"{values['first']:.{digits}f}",
                f"{values['second']:.{digits}f}",
                f"{values['mean']:+.{digits}f} [{values['low']:+.{digits}f}, {values['high']:+.{digits}f}]",
                f"{values['p_value']:.3g}",
                _better(metric, values, folders),
            )
        console.print(table)
    console.print(Text(f"difference: {folders[1]} minus {folders[0]}"), soft_wrap=True)


def _better(metric: str, values: Mapping[str, Any], folders: tuple[Path, Path]) -> str:
    """Whose interval of the difference does not hold 0."""
    if values["low"] <= 0 <= values["high"]:
        return "–"
    return folders[int((values["mean"] > 0) == METRICS[metric].higher_is_better)].name


def print_leaderboard(ranking: Leaderboard, root: Path, path: Path) -> None:
    """Print the runs, best first, with the overrides that differ and the winner's to paste."""
    console = Console()
    name = ranking.metric.removesuffix("_ab").removesuffix("_ba")
    table = Table(title=f"{root}: by {ranking.metric}, foreground")
    table.add_column("")
    table.add_column(ranking.metric, justify="right")
    for key in ranking.differing:
        table.add_column(key, overflow="fold")
    table.add_column("run", overflow="fold")
    for rank, entry in enumerate(ranking.entries, start=1):
        overrides = [entry.overrides.get(key, "") for key in ranking.differing]
        value = f"{entry.metrics[ranking.metric]:.{METRICS[name].digits}f}"
        table.add_row(str(rank), value, *map(Text, overrides), Text(str(entry.folder.relative_to(root))))
    console.print(table)
    for reason in ranking.left_out:
        console.print(Text(f"Left out: {reason}", "yellow"), soft_wrap=True)
    winner = ranking.entries[0].overrides
    words = " ".join(f"{key}={winner[key]}" for key in ranking.differing if key in winner)
    console.print(Text(f"best    {words}"), soft_wrap=True)
    console.print(Text(f"table   {path}"), soft_wrap=True)
