"""Translate: ``python -m mri_cyclegan.translate RUN_DIR T1.nii.gz synth_T2.nii.gz`` gives scans the other contrast.

What is heavy is imported when it is needed, so that ``--help`` answers at once.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from mri_cyclegan.text import make_output_encodable, terminal_safe
from mri_cyclegan.trust_option import TrustOption
from mri_cyclegan.trusted_classes import trust

if TYPE_CHECKING:
    from mri_cyclegan.inference.translate_scans import Outcome
    from mri_cyclegan.inference.translate_scans import Progress as OnProgress

EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 130

Direction = StrEnum("Direction", "ab ba")
Range = StrEnum("Range", "unit reference")
DataType = StrEnum("DataType", "float32 int16")
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def command(
    model: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL_DIR", help="A finished run, or its model/ folder.")],
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="NIfTI file, picture, DICOM series, BIDS data set, or folder.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File for one scan, folder for several.")],
    direction: Annotated[
        Direction | None, typer.Option(help="ab or ba.  [default: by the names of the files, such as *_T1w.nii.gz]")
    ] = None,
    value_range: Annotated[
        Range, typer.Option("--range", help="Intensities: 0 to 1, or those of the target's training scans.")
    ] = Range.unit,
    dtype: Annotated[DataType, typer.Option(help="Of NIfTI files; int16 has slope and intercept.")] = DataType.float32,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Mean over flips and shifts, and a second file with the spread.")
    ] = False,
    also: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN_OR_MODEL_DIR", help="Average with another model, and a file with the spread; repeatable."
        ),
    ] = None,
    planes: Annotated[
        str | None, typer.Option(metavar="PLANE,…", help="Average only the models of these planes.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Skip scans whose output exists, to resume after an interruption.")
    ] = False,
    num_parts: Annotated[int, typer.Option(min=1, help="Divide the scans among this many machines …")] = 1,
    part: Annotated[int, typer.Option(min=0, help="… and translate this share, from 0.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …  [default: a GPU if there is one]")] = None,
    volume_index: Annotated[int | None, typer.Option(help="Which volume of 4-D files.")] = None,
    nonfinite: Annotated[str, typer.Option(help="NaN voxels: raise refuses the file, zero makes them 0.")] = "raise",
    assume_orientation: Annotated[str | None, typer.Option(help="Of NIfTI files without any, such as RAS.")] = None,
    series_uid: Annotated[
        list[str] | None, typer.Option(help="DICOM series to take where a folder holds several; repeatable.")
    ] = None,
    trust_class: TrustOption = None,
) -> None:
    """Turn scans into the other contrast, on their own voxels.

    Images say that they are synthetic, and have a JSON file beside them. A BIDS data set becomes a BIDS derivative.
    Not for diagnostic use.

    Exit status: 0 all translated, 1 some failed, 2 refused before the first, 130 interrupted.
    """
    began = perf_counter()
    try:
        from mri_cyclegan.data.volume import ReadOptions
        from mri_cyclegan.inference.translate_scans import Options, translate_scans

        trust(trust_class or ())
        options = Options(
            direction=direction and direction.value,
            value_range=value_range.value,
            as_int16=dtype is DataType.int16,
            uncertainty=uncertainty,
            planes=[plane.strip() for plane in planes.split(",")] if planes else (),
            overwrite=overwrite,
            skip_existing=skip_existing,
            part=part,
            num_parts=num_parts,
            device=device,
            read=ReadOptions(volume_index, nonfinite, assume_orientation, tuple(series_uid or ())),
        )
        with _progress() as on_progress:
            folders = [folder.expanduser() for folder in (model, *(also or ()))]
            outcome = translate_scans(folders, source.expanduser(), output.expanduser(), options, on_progress)
    except OSError as error:
        _refuse(f"{error.filename or 'The system'}: {error.strerror or error}.")
    except (ValueError, RuntimeError) as error:  # a RuntimeError: the home directory of ~user is unknown
        _refuse(str(error))
    _print(outcome, output, perf_counter() - began)
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if outcome.failed:
        raise typer.Exit(EXIT_FAILED)


def _refuse(message: str) -> NoReturn:
    Console(stderr=True).print(Text(terminal_safe(_in_options(message)), "red"), soft_wrap=True)
    raise typer.Exit(EXIT_REFUSED) from None


@contextmanager
def _progress() -> "Iterator[OnProgress]":
    """A progress bar with files and time left, or a line per file if the output is not a terminal."""
    console = Console(stderr=True)
    seen: set[str] = set()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[files]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Loading", total=None, files="")

        def on_progress(num_done: float, total: int, place: str) -> None:
            files = f"{int(num_done)}/{total} files"
            bar.update(task, completed=num_done, total=total, description=terminal_safe(place), files=files)
            if not console.is_terminal and place not in seen:
                seen.add(place)
                console.print(Text(terminal_safe(f"{len(seen)}/{total} {place}")), soft_wrap=True)

        yield on_progress


def _print(outcome: "Outcome", output: Path, seconds: float) -> None:
    """Print warnings, failures, counts, and where the results are."""
    console = Console()
    lines = [(warning, "yellow") for warning in outcome.warnings]
    lines += [(f"Failed: {_in_options(failure)}", "red") for failure in outcome.failed]
    counts = [f"{len(outcome.written)} translated"]
    counts += [f"{len(outcome.skipped)} there already"] if outcome.skipped else []
    counts += [f"{outcome.num_other_contrast} of the other contrast left out"] if outcome.num_other_contrast else []
    counts += [f"{outcome.num_synthetic} translations left out"] if outcome.num_synthetic else []
    counts += [f"{len(outcome.failed)} failed"] if outcome.failed else []
    where = outcome.written[0] if len(outcome.written) == 1 else output
    lines.append((f"{', '.join(counts)} ({timedelta(seconds=round(seconds))}): {where}", ""))
    if outcome.interrupted:
        lines.append(("Interrupted. Resume with the same command and --skip-existing.", "yellow"))
    if outcome.written:
        lines.append(("Synthetic images, not for diagnostic use.", "bold"))
    for line, style in lines:
        console.print(Text(terminal_safe(line), style), soft_wrap=True)


def _in_options(message: str) -> str:
    """A message about reading a scan, with options of this command in place of configuration keys.

    >>> _in_options("Set data.volume_index to choose one, or data.nonfinite=zero.")
    'Set --volume-index to choose one, or --nonfinite zero.'
    """
    message = message.replace("data.series_uids=[…]", "--series-uid").replace("data.series_uids", "--series-uid")
    names = r"data\.(volume_index|nonfinite|assume_orientation)(=?)"
    return re.sub(names, lambda found: f"--{found[1].replace('_', '-')}{' ' if found[2] else ''}", message)


def main() -> None:
    """Entry point."""
    make_output_encodable()
    app(prog_name="python -m mri_cyclegan.translate" if sys.argv[0].endswith(".py") else sys.argv[0])


if __name__ == "__main__":
    main()
