"""Reports of ``verify``: tables in the terminal, ``verify.json`` and ``verify.html``."""

import json
import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.html import environment
from mri_cyclegan.text import terminal_safe
from mri_cyclegan.verification.data_set import Verification
from mri_cyclegan.verification.examination import AXES

# Findings in the terminal; the files list all of them.
MAX_ROWS = 40


def write_reports(verification: Verification, folder: Path) -> None:
    """Write ``verify.json`` and ``verify.html``, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(verification.as_json(), indent=1, ensure_ascii=False)
    atomic_write_text(folder / "verify.json", text + "\n")
    page = (
        environment()
        .get_template("verify.html")
        .render(
            report=verification,
            command=training_command(verification),
            axes=AXES,
            num_warnings=len(verification.findings) - verification.num_errors,
            examined=sorted(verification.examined, key=lambda one: (one.facts is not None, not one.findings, one.scan)),
        )
    )
    atomic_write_text(folder / "verify.html", page)


def training_command(verification: Verification) -> str:
    """Command that trains on the data set with the proposed settings; empty without a proposal."""
    overrides = verification.overrides()
    return shlex.join(["python", "-m", "mri_cyclegan.train", "+experiment=baseline", *overrides]) if overrides else ""


def print_report(verification: Verification, folder: Path) -> None:
    """Print the findings, the fingerprints, the training command, and the path of the report."""
    console = Console()
    if verification.findings:
        console.print(_findings_table(verification))
    if verification.fingerprints:
        console.print(_fingerprint_table(verification))
    if verification.examples():
        console.print(_examples_table(verification))
    if verification.left_out:
        some = f"{len(verification.left_out)} scans, such as {verification.left_out[0].name}"
        console.print(Text(terminal_safe(f"data.bids_filters leaves out {some}.")))
    if command := training_command(verification):
        console.print("Settings that fit these scans:", style="bold")
        console.print(Text(f"  {command}"), soft_wrap=True)
    num_warnings = len(verification.findings) - verification.num_errors
    console.print(
        f"{len(verification.examined)} scans, {verification.num_pairs} pairs on one grid; "
        f"{verification.num_errors} errors, {num_warnings} warnings. "
        f"{verification.seconds:.1f} s, {len(verification.examined) / verification.seconds:.1f} files/s, "
        f"peak memory {verification.peak_memory_bytes / 2**20:.0f} MiB a process.",
        highlight=False,
    )
    console.print(Text(f"report  {folder / 'verify.html'}"), soft_wrap=True)


def _findings_table(verification: Verification) -> Table:
    table = Table(title="Findings", show_lines=True, expand=True)
    table.add_column("", width=7)
    table.add_column("path", ratio=3, overflow="fold")
    table.add_column("finding", ratio=4, overflow="fold")
    table.add_column("what to do", ratio=3, overflow="fold")
    for finding in verification.findings[:MAX_ROWS]:
        style = "red" if finding.severity == "error" else "yellow"
        path = finding.path.relative_to(verification.root) if finding.path != verification.root else finding.path
        cells = map(terminal_safe, (str(path), finding.problem, finding.remedy))
        table.add_row(Text(finding.severity, style), *map(Text, cells))
    if len(verification.findings) > MAX_ROWS:
        table.caption = f"… and {len(verification.findings) - MAX_ROWS} more, in the report"
    return table


def _examples_table(verification: Verification) -> Table:
    """Subjects inferred for example files: a wrong one can put a person into two parts of the split."""
    table = Table(title="Subjects, for example (? if unknown)", expand=True)
    table.add_column("file", ratio=3, overflow="fold")
    table.add_column("subject", ratio=1, overflow="fold")
    for file, subject in verification.examples():
        table.add_row(Text(terminal_safe(file)), Text(terminal_safe(subject)))
    return table


def _fingerprint_table(verification: Verification) -> Table:
    table = Table(title=f"{verification.root} ({verification.layout})")
    table.add_column("")
    prints = verification.fingerprints
    for name, one in prints.items():
        table.add_column(f"{name}: {one.num_scans} scans, {one.num_subjects} subjects")
    for label, attribute in (("voxels", "shapes"), ("spacing (mm)", "spacings_mm"), ("orientation", "orientations")):
        table.add_row(label, *(_commonest(getattr(one, attribute)) for one in prints.values()))
    for label, attribute in (("field of view (mm)", "field_of_view_mm"), ("head (mm)", "head_mm")):
        table.add_row(
            label, *(" × ".join(f"{size:.0f}" for size in getattr(one, attribute)) for one in prints.values())
        )
    table.add_row("head cut off", *(f"{max(one.num_cut)} scans" for one in prints.values()))
    table.add_row("intensities", *(f"{one.percentiles[0]:.4g} to {one.percentiles[-1]:.4g}" for one in prints.values()))
    return table


def _commonest(counts: dict[str, int]) -> str:
    value, count = next(iter(counts.items()))
    others = f"  (+ {len(counts) - 1} others)" if len(counts) > 1 else ""
    return f"{value}{others}" if count == sum(counts.values()) else f"{value}: {count}{others}"
