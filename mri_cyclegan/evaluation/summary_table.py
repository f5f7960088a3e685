"""Prints evaluations and comparisons to the terminal.

Names chosen by users are printed as :class:`rich.text.Text`, since Rich would parse brackets in a string as markup.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.comparison import Differences
from mri_cyclegan.evaluation.evaluated_subjects import describe_subjects
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.text import terminal_safe

# Metrics on the terminal; the report shows all.
TERMINAL_METRICS = ("psnr", "ssim")
LEVEL_STYLES = {Level.GREEN: "green", Level.AMBER: "yellow", Level.RED: "bold red", Level.UNKNOWN: "dim"}

# Bootstrap intervals of few subjects are too narrow, so "better" needs both the interval and this p-value.
SIGNIFICANT_P = 0.05


def print_evaluation(content: Mapping[str, Any], folder: Path) -> None:
    """Print the metrics beside the reference methods, the audits, the warnings, the verdict and the result files.

    Args:
        content: content of ``metrics.json``.
        folder: folder of the results.
    """
    console = Console()
    for direction, (source, target) in content["directions"].items():
        if content["summary"][direction]:
            console.print(_results_table(f"{source} → {target}", content["summary"][direction], content))
    console.print(_audit_table(content))
    for warning in content["warnings"]:
        console.print(Text(terminal_safe(warning), "yellow"), soft_wrap=True)
    for sentence in content["verdict"]:
        console.print(Text(terminal_safe(sentence), "bold"), soft_wrap=True)
    console.print(Text(f"report      {folder / 'report.html'}"), soft_wrap=True)
    console.print(Text(f"numbers     {folder / 'metrics.json'}"), soft_wrap=True)


def _results_table(name: str, of_direction: Mapping[str, Any], content: Mapping[str, Any]) -> Table:
    subjects = {s["subject"] for s in content["subjects"] if any(v["metrics"] for v in s["ways"].values())}
    shown = "mean [95 % interval]" if len(subjects) > 1 else "its values"
    table = _table(
        f"{name}, foreground, {describe_subjects(content['part'], subjects, content['chose_epoch'])}: {shown}"
    )
    table.add_column("method")
    for metric in TERMINAL_METRICS:
        unit = f" ({METRICS[metric].unit})" if METRICS[metric].unit else ""
        table.add_column(METRICS[metric].label + unit, justify="right")
    for method, regions in of_direction.items():
        cells = [Text(_with_interval(metric, regions["foreground"][metric])) for metric in TERMINAL_METRICS]
        table.add_row(Text(method), *cells, style="bold" if method == content["method"] else "")
    return table


def _table(title: str) -> Table:
    return Table(title=Text(terminal_safe(title), "table.title"))


def _with_interval(metric: str, values: Mapping[str, float | None], sign: str = "") -> str:
    """A mean with its interval, if it has one."""
    mean, *ends = (
        f"{value:{sign}.{METRICS[metric].digits}f}"
        for value in (values["mean"], values["low"], values["high"])
        if value is not None
    )
    return f"{mean} [{', '.join(ends)}]" if ends else mean


def _audit_table(content: Mapping[str, Any]) -> Table:
    table = Table(title="Audits", expand=False)
    for column in ("audit", "direction", "", "figure"):
        table.add_column(column, overflow="fold")
    for audit in content["audits"]:
        direction = "" if audit["way"] is None else " → ".join(content["directions"][audit["way"]])
        table.add_row(
            Text(audit["name"]),
            Text(terminal_safe(direction)),
            Text(audit["level"], LEVEL_STYLES[audit["level"]]),
            Text(terminal_safe(audit["figure"])),
        )
    return table


def print_comparison(
    differences: Differences,
    directions: Mapping[str, Sequence[str]],
    folders: tuple[Path, Path],
    warnings: Sequence[str] = (),
) -> None:
    """Print paired differences, second minus first, and warnings about them."""
    console = Console()
    labels = _labels(folders)
    for direction, names in directions.items():
        metrics = differences[direction]
        count = next(iter(metrics.values()))["num_subjects"]
        the_same = f"the same {count} subjects" if count > 1 else "a single subject: no interval"
        table = _table(f"{' → '.join(names)}, foreground, {the_same}")
        table.add_column("metric")
        for column in (*labels, "difference [95 % interval]", "Wilcoxon p", "better"):
            table.add_column(Text(column), justify="right", overflow="fold")
        for metric, values in metrics.items():
            digits = METRICS[metric].digits
            cells = (
                f"{values['first']:.{digits}f}",
                f"{values['second']:.{digits}f}",
                _with_interval(metric, values, sign="+"),
                f"{values['p_value']:.3g}",
                _winner(metric, values, labels),
            )
            table.add_row(METRICS[metric].label, *map(Text, cells))
        console.print(table)
    for warning in warnings:
        console.print(Text(terminal_safe(warning), "yellow"), soft_wrap=True)
    console.print(Text(f"difference: {folders[1]} minus {folders[0]}"), soft_wrap=True)


def _labels(folders: tuple[Path, Path]) -> tuple[str, str]:
    """Labels that distinguish two runs: their folder names, or full paths if the names are equal or empty."""
    first, second = folders
    if first.name and second.name and first.name != second.name:
        return first.name, second.name
    return str(first.resolve()), str(second.resolve())


def _winner(metric: str, values: Mapping[str, Any], labels: tuple[str, str]) -> str:
    """Label of the significantly better run, or a dash if neither is."""
    if values["low"] is None or values["low"] <= 0 <= values["high"] or values["p_value"] >= SIGNIFICANT_P:
        return "–"
    return labels[int((values["mean"] > 0) == METRICS[metric].higher_is_better)]
