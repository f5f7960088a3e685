"""Translate the scans of an input into files; a scan that fails does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.filesystem import remove_abandoned_files
from mri_cyclegan.inference.devices import choose_device
from mri_cyclegan.inference.flicker import has_flicker
from mri_cyclegan.inference.jobs import Job, Plan, format_list, plan
from mri_cyclegan.inference.model import PortableModel, load_model
from mri_cyclegan.inference.names import PICTURE_OUTPUT
from mri_cyclegan.inference.scan_translator import ScanTranslator, Translation
from mri_cyclegan.inference.writer import (
    OutputSettings,
    existing_outputs,
    settings_differ,
    write_dataset_description,
    write_translation,
)

# Called with the number of scans done (fractional), the total, and the current scan.
Progress = Callable[[float, int, str], None]


@dataclass(frozen=True)
class Options:
    """How to translate.

    Attributes:
        direction: ``"ab"`` or ``"ba"``; None infers it from each scan's path.
        value_range: ``"unit"`` or ``"reference"``, see :mod:`mri_cyclegan.inference.synthetic_image`.
        as_int16: write NIfTI files as 16-bit integers with slope and intercept instead of float32.
        uncertainty: average over several views of each scan, and write their standard deviation to a second file.
        planes: planes of the models to use; empty for all.
        overwrite: replace existing files.
        skip_existing: skip scans whose output exists.
        part: index of the part of the scans to translate, from 0.
        num_parts: number of parts that the scans are split into.
        device: compute device; None for a GPU if available.
        read: how to read ambiguous files.
    """

    direction: str | None = None
    value_range: str = "unit"
    as_int16: bool = False
    uncertainty: bool = False
    planes: Sequence[str] = ()
    overwrite: bool = False
    skip_existing: bool = False
    part: int = 0
    num_parts: int = 1
    device: str | None = None
    read: ReadOptions = ReadOptions()

    def __post_init__(self) -> None:
        if self.overwrite and self.skip_existing:
            raise ValueError("--overwrite and --skip-existing exclude each other.")
        if not 0 <= self.part < self.num_parts:
            expected = f"0 to {self.num_parts - 1} of --num-parts {self.num_parts}"
            raise ValueError(f"--part: expected {expected}, got {self.part}.")


@dataclass
class Outcome:
    """Result of translating the scans.

    Attributes:
        written: image files that were written.
        skipped: image files that already existed.
        num_other_contrast: images skipped because they are not of the source contrast.
        num_synthetic: images skipped because they are translations themselves.
        interrupted: whether the user interrupted it.
        failed: one sentence for each scan or folder that could not be translated.
        warnings: one sentence for each warning about a translated scan.
    """

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    num_other_contrast: int = 0
    num_synthetic: int = 0
    interrupted: bool = False
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def translate_scans(
    model_folders: Sequence[Path], source: Path, output: Path, options: Options, on_progress: Progress
) -> Outcome:
    """Translate one scan, or every scan of a folder.

    Args:
        model_folders: run folders or their ``model/`` folders; the outputs of several models are averaged.
        source: see :func:`mri_cyclegan.inference.jobs.plan`.
        output: see :func:`mri_cyclegan.inference.jobs.plan`.
        options: how to translate.
        on_progress: see :data:`Progress`.

    Raises:
        ValueError: a model, the input or an option is invalid, or outputs exist; nothing was translated.
    """
    models = _select_planes([load_model(folder) for folder in model_folders], options.planes)
    found = plan(source, output, models[0].contrasts, options.direction)
    _require_value_range(found, options)
    device = choose_device(options.device)
    translator = ScanTranslator(models, uncertainty=options.uncertainty, device=device, options=options.read)
    outcome = Outcome(num_other_contrast=found.num_other_contrast, num_synthetic=found.num_synthetic)
    for finding in found.findings:
        (outcome.failed if finding.severity == "error" else outcome.warnings).append(str(finding))
    jobs = found.jobs[options.part :: options.num_parts]  # together, the parts cover each job once
    jobs = _pending_jobs(jobs, translator, options, outcome)
    is_bids = found.derivative_of is not None
    settings = OutputSettings(options.value_range, options.as_int16, is_bids, options.overwrite)
    if found.derivative_of is not None:
        write_dataset_description(output, found.derivative_of)
    try:
        for number, job in enumerate(jobs):
            on_share = partial(_report, on_progress, number, len(jobs), job.place)
            on_share(0.0)
            if options.skip_existing and job.target.exists():  # another process wrote it meanwhile
                outcome.skipped.append(job.target)
            else:
                _translate(job, translator, settings, outcome, on_share)
    except KeyboardInterrupt:
        outcome.interrupted = True
    return outcome


def _report(on_progress: Progress, num_done: int, total: int, place: str, share: float) -> None:
    on_progress(num_done + share, total, place)


def _translate(
    job: Job, translator: ScanTranslator, settings: OutputSettings, outcome: Outcome, on_share: Callable[[float], None]
) -> None:
    """Translate and write one scan, and record the result in ``outcome``."""
    try:
        translation = translator(job.source, job.direction, on_share)
        write_translation(translation, job, settings)
    except UnfitFile as error:
        outcome.failed.append(str(error))
    except OSError as error:
        outcome.failed.append(f"{job.target}: cannot be written ({error.strerror or error}).")
    except Exception as error:  # a bug, or too little memory: continue with the other scans
        reason = " ".join(str(error).split())[:200] or "it does not fit into memory"
        remedy = "Try --device cpu." if isinstance(error, torch.OutOfMemoryError) else "Crop it, or leave it out."
        outcome.failed.append(f"{job.source}: cannot be translated ({type(error).__name__}: {reason}). {remedy}")
    else:
        outcome.written.append(job.target)
        outcome.warnings += [f"{job.source}: {warning}." for warning in _warnings(job, translation)]


def _warnings(job: Job, translation: Translation) -> list[str]:
    """Warnings about a translation, one clause each."""
    warnings = [*([job.warning] if job.warning else []), *translation.warnings]
    if translation.unlike_training:
        warnings.append("unlike the scans trained on: " + "; ".join(translation.unlike_training))
    output, source = translation.output_flicker, translation.source_flicker
    if has_flicker(output, source):
        warnings.append(f"brightness jumps by {output:.3f} from slice to slice of the output, {source:.3f} of the scan")
    return warnings


def _select_planes(models: Sequence[PortableModel], planes: Sequence[str]) -> list[PortableModel]:
    """Select the models trained on slices of the given planes.

    Raises:
        ValueError: no model was trained on one of the planes.
    """
    for plane in planes:
        if all(model.preprocessing.plane != plane for model in models):
            trained = "; ".join(f"{model.folder}: {model.preprocessing.plane}" for model in models)
            raise ValueError(
                f"--planes: no model was trained on {plane} slices ({trained}). Train one with data.plane={plane} "
                "and add it with --also."
            )
    return [model for model in models if not planes or model.preprocessing.plane in planes]


def _require_value_range(found: Plan, options: Options) -> None:
    writes_pictures = any(job.target.name.lower().endswith(PICTURE_OUTPUT) for job in found.jobs)
    if options.value_range == "reference" and writes_pictures:
        raise ValueError("--range reference: pictures hold 0 to 1 as 0 to 65535. Leave it out, or write NIfTI.")


def _pending_jobs(jobs: Sequence[Job], translator: ScanTranslator, options: Options, outcome: Outcome) -> list[Job]:
    """Return the jobs whose output has to be written, and record the skipped ones in ``outcome``.

    Raises:
        ValueError: outputs exist and neither option says what to do, or they were made with other settings.
    """
    remove_abandoned_files(path for job in jobs for path in job.outputs)
    if options.skip_existing:
        done = [job for job in jobs if job.target.exists()]
        others = [str(job.target) for job in done if settings_differ(job, translator, options.value_range)]
        if others:
            raise ValueError(
                f"{len(others)} of the files there were made by another model or with other settings. Replace them "
                f"with --overwrite, or give another output.{format_list(others)}"
            )
        outcome.skipped += [job.target for job in done]
        jobs = [job for job in jobs if not job.target.exists()]
    if not options.overwrite:
        existing = [str(path) for job in jobs for path in existing_outputs(job, translator.num_outputs > 1)]
        if existing:
            raise ValueError(
                f"{len(existing)} of the files to write exist. Replace them with --overwrite, keep finished ones with "
                f"--skip-existing, or give another output.{format_list(existing)}"
            )
    return list(jobs)
