"""Evaluate: ``python -m mri_cyclegan.evaluate RUN_DIR`` reports how far a trained model can be trusted.

What is heavy is imported when it is needed, so that ``--help`` answers at once.
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mri_cyclegan.data.layouts import LAYOUTS, LayoutSettings
from mri_cyclegan.data.layouts.detection import layout_from_options
from mri_cyclegan.filesystem import escapes
from mri_cyclegan.text import make_output_encodable, terminal_safe
from mri_cyclegan.trust_option import TrustOption
from mri_cyclegan.trusted_classes import trust

if TYPE_CHECKING:
    from mri_cyclegan.evaluation.run_evaluation import Options

EXIT_ERROR = 2

# Folder, in a run's, of its plain evaluation: the one that ranks in a leaderboard and that the model's description has.
PLAIN = "evaluation"

Part = StrEnum("Part", "test val all")
Layout = StrEnum("Layout", {name: name for name in LAYOUTS})  # type: ignore[misc]
Plane = StrEnum("Plane", "axial coronal sagittal")
Pairs = StrEnum("Pairs", "grid space register")
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


# What each way to call it takes beside itself.
LAYOUT_OPTIONS = "layout contrasts pattern_a pattern_b subject_pattern"
OPTIONS_OF = {
    "RUN_DIR": f"data_root {LAYOUT_OPTIONS} split output tta pairs skip_unfit feature_weights device trust_class",
    "--prediction": "target source output prediction_range plane pairs",
    "--compare": f"data_root {LAYOUT_OPTIONS} split tta pairs skip_unfit device trust_class",
    "--leaderboard": "metric",
}


@app.command()
def command(
    context: typer.Context,
    run_dirs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN_DIR...", help="A finished run; several make an ensemble.")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of the data set.  [default: the one it was trained on]")
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option(help="With --data-root: what kind it is, if not as the one trained on.")
    ] = None,
    contrasts: Annotated[
        str | None, typer.Option(metavar="A,B", help="With --data-root: what the two contrasts are called in it.")
    ] = None,
    pattern_a: Annotated[str | None, typer.Option(help="With --data-root: as data.pattern_a.")] = None,
    pattern_b: Annotated[str | None, typer.Option(help="With --data-root: as data.pattern_b.")] = None,
    subject_pattern: Annotated[str | None, typer.Option(help="With --data-root: as data.subject_pattern.")] = None,
    split: Annotated[
        Part, typer.Option(help="Subjects to evaluate. A run without test subjects evaluates on validation.")
    ] = Part.test,
    output: Annotated[Path | None, typer.Option(help="Folder of the results.  [default: RUN_DIR/evaluation…]")] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Test-time augmentation: mean and spread over flips and shifts.")
    ] = False,
    pairs: Annotated[
        Pairs | None,
        typer.Option(help="Targets on other grids: refused, resampled, or registered too.  [default: the run's]"),
    ] = None,
    skip_unfit: Annotated[
        bool, typer.Option("--skip-unfit", help="Leave out subjects with unfit or unaligned files.")
    ] = False,
    feature_weights: Annotated[
        Path | None, typer.Option(help="Weights of torchvision's inception_v3, for FID and KID; never downloaded.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …  [default: a GPU if there is one]")] = None,
    trust_class: TrustOption = None,
    prediction: Annotated[
        Path | None, typer.Option(help="Instead of a run: folder of volumes another program made.")
    ] = None,
    target: Annotated[Path | None, typer.Option(help="With --prediction: folder of the true volumes.")] = None,
    source: Annotated[Path | None, typer.Option(help="With --prediction: what they were predicted from.")] = None,
    prediction_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="With --prediction: its values for the target's percentiles.  [default: as translate wrote, else 0,1]",
        ),
    ] = None,
    plane: Annotated[Plane, typer.Option(help="With --prediction: plane of the slices.")] = Plane.axial,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="RUN_A RUN_B", help="Instead: two runs on the same subjects.")
    ] = None,
    leaderboard: Annotated[
        Path | None, typer.Option(help="Instead: rank the evaluated runs below this folder.")
    ] = None,
    metric: Annotated[str, typer.Option(help="With --leaderboard: psnr, ssim, … ssim_ab, … or val_ssim.")] = "ssim",
) -> None:
    """Measure a trained model by a fixed protocol, beside trivial baselines, and audit what good scores hide.

    Writes metrics.json, metrics.csv and report.html. The same command resumes an interrupted evaluation.

    Exit status: 0 evaluated, 2 refused.
    """
    modes = {"RUN_DIR": run_dirs, "--prediction": prediction, "--compare": compare, "--leaderboard": leaderboard}
    given = [name for name, value in modes.items() if value]
    try:
        if len(given) != 1:
            raise ValueError(f"Give one of {', '.join(modes)}; got {' and '.join(given) or 'none'}. See --help.")
        _refuse_foreign_options(context, given[0])
        if leaderboard is not None:
            _rank(leaderboard.expanduser(), metric)
            return
        from mri_cyclegan.evaluation.run_evaluation import Options

        trust(trust_class or ())
        options = Options(
            split.value,
            data_root and data_root.expanduser(),
            _layout(data_root, layout, contrasts, pattern_a, pattern_b, subject_pattern),
            pairs and pairs.value,
            skip_unfit,
            tta,
            feature_weights and feature_weights.expanduser(),
            device,
        )
        if compare is not None:
            _compare(compare, options)
        elif run_dirs:
            _evaluate_runs(run_dirs, output, options)
        else:
            assert prediction is not None
            _evaluate_predictions(
                prediction, target, source, output, prediction_range, plane.value, pairs or Pairs.grid
            )
    except (ValueError, OSError) as error:
        Console(stderr=True).print(
            terminal_safe(str(error)), style="red", markup=False, highlight=False, soft_wrap=True
        )
        raise typer.Exit(EXIT_ERROR) from None


def _refuse_foreign_options(context: typer.Context, mode: str) -> None:
    allowed = [*OPTIONS_OF[mode].split(), mode.lstrip("-"), "run_dirs"]
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in allowed:
            raise ValueError(f"{parameter.opts[0]} does not apply to {mode}. See --help.")


def _layout(
    root: Path | None,
    layout: str | None,
    contrasts: str | None,
    pattern_a: str | None,
    pattern_b: str | None,
    subject_pattern: str | None,
) -> LayoutSettings | None:
    """Layout of another data set; None where it is laid out as the one trained on."""
    given = {"--layout": layout, "--contrasts": contrasts, "--pattern-a": pattern_a, "--pattern-b": pattern_b}
    said = [option for option, value in (given | {"--subject-pattern": subject_pattern}).items() if value is not None]
    if not said:
        return None
    if root is None:
        raise ValueError(f"{said[0]} goes with --data-root, which is missing: give the folder of that data set.")
    names = contrasts.split(",") if contrasts else None
    found = layout_from_options(root.expanduser(), layout, names, pattern_a, pattern_b)
    return replace(found, subject_pattern=subject_pattern)


def _evaluate_runs(folders: list[Path], output: Path | None, options: "Options") -> None:
    from mri_cyclegan.evaluation.model_summary import summary_for_model
    from mri_cyclegan.evaluation.run_evaluation import evaluate_runs
    from mri_cyclegan.evaluation.summary_table import print_evaluation
    from mri_cyclegan.inference.model import model_folder, save_evaluation

    folders = [folder.expanduser() for folder in folders]
    output = output.expanduser() if output else default_output(folders, options)
    evaluation = evaluate_runs(folders, output, options)
    evaluation.write(output)
    if output == folders[0] / PLAIN:
        save_evaluation(model_folder(folders[0]), summary_for_model(evaluation.content))
    print_evaluation(evaluation.content, output)


def default_output(folders: Sequence[Path], options: "Options") -> Path:
    """``evaluation`` in the run's folder; with another name for everything but the plain evaluation of one run.

    Raises:
        ValueError: the run, which may come from others, has a link to elsewhere there.
    """
    words = [] if options.part == "test" else [options.part]
    if options.data_root is not None:
        words.append(options.data_root.resolve().name)
    if len(folders) > 1:
        names = "".join(str(folder.resolve()) for folder in folders)
        words.append(f"ensemble-{hashlib.sha256(names.encode()).hexdigest()[:6]}")
    words += ["tta"] if options.test_time_augmentation else []
    words += [options.pairs] if options.pairs else []
    output = folders[0] / "-".join([PLAIN, *words])
    if escapes(output, folders[0]):
        raise ValueError(f"{output}: leads out of the run's folder. Remove that link, or give another --output.")
    return output


def _evaluate_predictions(
    prediction: Path,
    target: Path | None,
    source: Path | None,
    output: Path | None,
    prediction_range: str | None,
    plane: str,
    pairs: str,
) -> None:
    from mri_cyclegan.evaluation.prediction_evaluation import PredictionOptions, evaluate_predictions
    from mri_cyclegan.evaluation.summary_table import print_evaluation

    if target is None:
        raise ValueError("--prediction needs --target, the folder of the true volumes.")
    low, high = _range(prediction_range)
    options = PredictionOptions(low, high, plane, str(pairs))
    folder = prediction.expanduser().resolve()
    output = output.expanduser() if output else folder.with_name(folder.name + "-evaluation")
    evaluation = evaluate_predictions(
        prediction.expanduser(), target.expanduser(), source and source.expanduser(), output, options
    )
    evaluation.write(output)
    print_evaluation(evaluation.content, output)


def _range(words: str | None) -> tuple[float, float] | tuple[None, None]:
    if words is None:
        return None, None
    try:
        low, high = (float(word) for word in words.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise ValueError(f"--prediction-range: expected LOW,HIGH such as 0,1 or -1,1; got {words!r}.")
    return low, high


def _compare(folders: tuple[Path, Path], options: "Options") -> None:
    """Evaluate both, which takes no time where that is done already, and compare."""
    from mri_cyclegan.evaluation.comparison import compare, read_evaluation
    from mri_cyclegan.evaluation.evaluated_subjects import caveats
    from mri_cyclegan.evaluation.run_evaluation import evaluate_runs
    from mri_cyclegan.evaluation.summary_table import print_comparison

    contents, warnings = [], []
    for folder in folders:
        output = default_output([folder.expanduser()], options)
        evaluate_runs([folder.expanduser()], output, options).write(output)
        content = read_evaluation(output)
        contents.append(content)
        warnings += [f"{folder}: {line}" for line in caveats(content["directions"], [], content["chose_epoch"])]
    print_comparison(compare(*contents), contents[0]["directions"], folders, warnings)


def _rank(root: Path, metric: str) -> None:
    from mri_cyclegan.sweeps.leaderboard import rank_runs
    from mri_cyclegan.sweeps.leaderboard_table import save_and_print

    save_and_print(rank_runs(root, metric), root)


def main() -> None:
    """Entry point."""
    make_output_encodable()
    app(prog_name="python -m mri_cyclegan.evaluate" if sys.argv[0].endswith(".py") else sys.argv[0])


if __name__ == "__main__":
    main()
