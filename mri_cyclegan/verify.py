"""Verify: ``python -m mri_cyclegan.verify DATA_ROOT`` reports all that is wrong with a data set, before training."""

import sys
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mri_cyclegan.data.layouts import LAYOUTS
from mri_cyclegan.data.layouts.detection import layout_from_options
from mri_cyclegan.data.layouts.entities import parse_filters
from mri_cyclegan.data.parallel import available_processes
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.text import make_output_encodable, terminal_safe
from mri_cyclegan.verification.data_set import verify
from mri_cyclegan.verification.report import print_report, write_reports

EXIT_WARNINGS, EXIT_ERRORS = 1, 2

Layout = StrEnum("Layout", {name: name for name in LAYOUTS})  # type: ignore[misc]
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def command(
    root: Annotated[Path, typer.Argument(metavar="DATA_ROOT", help="Folder of the data set.")],
    layout: Annotated[Layout | None, typer.Option(help="Layout of the data set; detected if not given.")] = None,
    contrasts: Annotated[str | None, typer.Option(metavar="A,B", help="Names of the two contrasts.")] = None,
    pattern_a: Annotated[str | None, typer.Option(help="As data.pattern_a, with --pattern-b.")] = None,
    pattern_b: Annotated[str | None, typer.Option(help="As data.pattern_b.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the reports.  [default: outputs/verify/<name>/<date_time>]")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when there are warnings.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes.  [default: one per core]")] = None,
    subject_pattern: Annotated[str | None, typer.Option(help="As data.subject_pattern.")] = None,
    bids_filters: Annotated[
        str | None, typer.Option(metavar="YAML", help="As data.bids_filters: '{T1w: {acq: highres}}'.")
    ] = None,
    volume_index: Annotated[int | None, typer.Option(help="As data.volume_index.")] = None,
    nonfinite: Annotated[str, typer.Option(help="As data.nonfinite: raise or zero.")] = "raise",
    assume_orientation: Annotated[str | None, typer.Option(help="As data.assume_orientation.")] = None,
    series_uid: Annotated[list[str] | None, typer.Option(help="As data.series_uids; may be repeated.")] = None,
) -> None:
    """Check every scan of a data set, and the data set as a whole; propose settings that fit it.

    Exit status: 0 fit for training (perhaps with warnings), 1 warnings with --strict, 2 errors.
    """
    root = root.expanduser()
    try:
        options = ReadOptions(volume_index, nonfinite, assume_orientation, tuple(series_uid or ()))
        names = contrasts.split(",") if contrasts else None
        settings = layout_from_options(root, layout, names, pattern_a, pattern_b)
        settings = replace(settings, subject_pattern=subject_pattern, bids_filters=parse_filters(bids_filters))
        verification = verify(root, settings, options, available_processes(jobs))
        folder = output or Path("outputs", "verify", root.resolve().name, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
        write_reports(verification, folder)
    except (ValueError, OSError) as error:
        Console(stderr=True).print(terminal_safe(str(error)), style="red", markup=False, highlight=False)
        raise typer.Exit(EXIT_ERRORS) from None
    print_report(verification, folder)
    if verification.num_errors:
        raise typer.Exit(EXIT_ERRORS)
    if strict and verification.findings:
        raise typer.Exit(EXIT_WARNINGS)


def main() -> None:
    """Entry point."""
    make_output_encodable()
    app(prog_name="python -m mri_cyclegan.verify" if sys.argv[0].endswith(".py") else sys.argv[0])


if __name__ == "__main__":
    main()
