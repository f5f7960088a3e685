"""Export: ``python -m mri_cyclegan.export RUN_DIR --format onnx`` writes a trained model for other programs.

What is heavy is imported when it is needed, so that ``--help`` answers at once.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mri_cyclegan.text import make_output_encodable, terminal_safe
from mri_cyclegan.trust_option import TrustOption
from mri_cyclegan.trusted_classes import trust

EXIT_ERROR = 2

FormatName = StrEnum("FormatName", "onnx torch_export monai_bundle")
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def command(
    source: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A finished run, or its model/ folder.")],
    format_name: Annotated[FormatName, typer.Option("--format", help="What to write.")],
    output: Annotated[Path | None, typer.Option(help="Folder to make.  [default: RUN_DIR/export/<format>]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export there.")] = False,
    trust_class: TrustOption = None,
) -> None:
    """Write a trained model, both directions, for other programs.

    onnx: for ONNX Runtime and whatever else reads ONNX. torch_export: for PyTorch, without the code of this package.
    monai_bundle: for MONAI, whole scans in and out.

    Each comes with a model card, and only after what was written has given the model's own outputs again.

    Exit status: 0 exported, 2 refused.
    """
    try:
        from mri_cyclegan.exporting.exporter import export

        trust(trust_class or ())
        folder, record = export(source.expanduser(), format_name.value, output and output.expanduser(), overwrite)
    except (ValueError, OSError) as error:
        Console(stderr=True).print(
            terminal_safe(str(error)), style="red", markup=False, highlight=False, soft_wrap=True
        )
        raise typer.Exit(EXIT_ERROR) from None
    _print(folder, record)


def _print(folder: Path, record: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for direction, difference in record["max_abs_difference"].items():
        console.print(
            f"{'checked':<10}{direction}: {difference:.1e} from the model at most, {record['tolerance']:g} allowed"
        )
    console.print(f"{'written':<10}{folder}", markup=False)
    for name in record["files_sha256"]:
        console.print(f"{'':<10}{name}", markup=False)


def main() -> None:
    """Entry point."""
    make_output_encodable()
    app(prog_name="python -m mri_cyclegan.export" if sys.argv[0].endswith(".py") else sys.argv[0])


if __name__ == "__main__":
    main()
