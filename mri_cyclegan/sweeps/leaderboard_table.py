"""Prints leaderboards and saves them.

User-chosen names are printed as :class:`rich.text.Text`, so that rich does not read brackets in them as markup.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mri_cyclegan.evaluation.evaluated_subjects import describe_subjects
from mri_cyclegan.evaluation.plain_yaml import read_yaml
from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.sweeps.entries import VALIDATION, Entry
from mri_cyclegan.sweeps.leaderboard import Leaderboard, metric_named, rank_runs
from mri_cyclegan.text import terminal_safe

COMMAND = "python -m mri_cyclegan.train"

# Overrides that turn a run into a sweep; left out of the command that reruns the winner.
SWEEP_ONLY_OVERRIDES = ("sweep",)


def save_and_print(ranking: Leaderboard, root: Path) -> None:
    """Write ``leaderboard.csv``, and print the leaderboard with a command to rerun the winner.

    Args:
        ranking: leaderboard of the runs below ``root``.
        root: folder for the file, such as a sweep folder.
    """
    path = root / "leaderboard.csv"
    atomic_write_text(path, ranking.as_csv())
    console = Console()
    console.print(_table(ranking, root))
    for reason in ranking.left_out:
        console.print(Text(terminal_safe(f"Left out: {reason}"), "yellow"), soft_wrap=True)
    _print_failed(console, ranking.failed)
    winner = ranking.entries[0].typed
    overrides = shlex.join(winner[key] for key in ranking.differing if key in winner)
    if overrides:
        console.print(Text(terminal_safe(f"best    {overrides}")), soft_wrap=True)
    console.print(Text(terminal_safe(f"again   {rerun_command(ranking.entries[0])}")), soft_wrap=True)
    console.print(Text(f"table   {path}"), soft_wrap=True)


def report_sweep(root: Path) -> None:
    """Rank a sweep's runs by validation, or by test subjects if no run was validated.

    Args:
        root: sweep folder.
    """
    reasons = []
    for metric in (VALIDATION, "ssim"):
        try:
            save_and_print(rank_runs(root, metric), root)
        except ValueError as error:
            reasons.append(str(error))
            continue
        return
    Console().print(Text(terminal_safe(reasons[0]), "yellow"), soft_wrap=True)


def rerun_command(entry: Entry) -> str:
    """Shell command that runs one job of a sweep alone; its overrides are already quoted for Hydra."""
    overrides = [override for key, override in entry.typed.items() if key not in SWEEP_ONLY_OVERRIDES]
    return f"{COMMAND} {shlex.join([*_config_dir(entry.folder), *overrides])}".rstrip()


def _config_dir(folder: Path) -> list[str]:
    """The ``--config-dir`` option of a job, if it had one."""
    try:
        sources = read_yaml(folder / ".hydra" / "hydra.yaml")["hydra"]["runtime"]["config_sources"]
        paths = [source["path"] for source in sources if source["provider"] == "command-line"]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return ["--config-dir", paths[0]] if paths and isinstance(paths[0], str) else []


def _print_failed(console: Console, failed: Mapping[Path, str]) -> None:
    for folder, why in failed.items():
        console.print(Text(terminal_safe(f"Failed: {folder}: {why}"), "red"), soft_wrap=True)


def _table(ranking: Leaderboard, root: Path) -> Table:
    digits = metric_named(ranking.metric).digits
    table = Table(
        title=Text(terminal_safe(f"{root}: by {ranking.metric}, foreground{_subjects_phrase(ranking)}"), "table.title")
    )
    table.add_column("")
    table.add_column(ranking.metric, justify="right")
    for key in ranking.differing:
        table.add_column(Text(terminal_safe(key)), overflow="fold")
    measured = {name: cells for name, cells in _resources(ranking.entries).items() if any(cells)}
    for name in measured:
        table.add_column(name, justify="right")
    table.add_column("run", overflow="fold")
    for index, entry in enumerate(ranking.entries):
        overrides = [entry.overrides.get(key, "") for key in ranking.differing]
        cells = [of_all[index] for of_all in measured.values()]
        value = f"{entry.metrics[ranking.metric]:.{digits}f}"
        run = Text(terminal_safe(str(entry.folder.relative_to(root))))
        table.add_row(str(index + 1), value, *map(Text, map(terminal_safe, overrides)), *cells, run)
    return table


def _subjects_phrase(ranking: Leaderboard) -> str:
    if ranking.metric == VALIDATION:
        return " of validation subjects, on whom the epoch was chosen"
    images = ranking.entries[0].images
    if images is None:
        return ""
    chose_epoch = {name for entry in ranking.entries for name in entry.chose_epoch}
    return f" of {describe_subjects(images.part, [names[0] for names in images.scans], chose_epoch)}"


def _resources(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Column name to cells, one per run; a cell is empty if its value was not measured."""
    measured = [entry.resources for entry in entries]
    return {
        "training": [_with_unit(of_one.get("training_s"), 1, "s") for of_one in measured],
        "batches/s": [_with_unit(of_one.get("batches_per_s"), 1, "") for of_one in measured],
        "GPU memory": [_with_unit(of_one.get("peak_gpu_memory_bytes"), 2**30, "GiB") for of_one in measured],
        "memory": [_with_unit(of_one.get("peak_memory_bytes"), 2**30, "GiB") for of_one in measured],
    }


def _with_unit(value: float | None, size: int, unit: str) -> str:
    return "" if value is None else f"{value / size:.3g} {unit}".rstrip()
