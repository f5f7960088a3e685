"""Evaluates volumes that some other program made, by the same protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.progress import track

from mri_cyclegan.data.findings import Finding, UnfitData, UnfitFile
from mri_cyclegan.data.histograms import histogram, pooled
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.evaluation.measuring import describe, measure_direction
from mri_cyclegan.evaluation.metrics.subject_matching import reduced
from mri_cyclegan.evaluation.protocol import PROTOCOL_VERSION
from mri_cyclegan.evaluation.provenance import provenance
from mri_cyclegan.evaluation.reference import LookUpTableFit, References
from mri_cyclegan.evaluation.run_measuring import VERSION
from mri_cyclegan.evaluation.subjects.images import SubjectImages
from mri_cyclegan.evaluation.subjects.prediction_files import PredictionFiles, match_files
from mri_cyclegan.evaluation.subjects.records import Record, RecordFolder
from mri_cyclegan.evaluation.subjects.resampling import Grid, in_plane_order, resampled, slice_spacing_mm
from mri_cyclegan.evaluation.subjects.subject import grid_difference
from mri_cyclegan.evaluation.subjects.translating import read_scaled
from mri_cyclegan.evaluation.writing import Evaluation, assemble

METHOD = "prediction"
WAY = "ab"

# Share of the foreground that may lie beyond the range of the predictions: more of it, and the range is wrong.
MAX_BEYOND = 0.2


@dataclass(frozen=True)
class PredictionOptions:
    """How to read predictions.

    Attributes:
        low: value of a prediction that means 0 on the protocol's scale, the target's 0.5th percentile.
        high: likewise 1, its 99.5th.
        plane: of the slices that SSIM looks at.
        resample_target: compare with targets on other grids, resampled.
    """

    low: float = 0.0
    high: float = 1.0
    plane: str = "axial"
    resample_target: bool = False


def evaluate_predictions(
    prediction: Path, target: Path, source: Path | None, output: Path, options: PredictionOptions
) -> Evaluation:
    """Evaluate a folder of predictions.

    Args:
        prediction: folder of predicted volumes, NIfTI or pictures.
        target: folder of the true ones.
        source: folder of what they were predicted from; None leaves out what needs it.
        output: folder of the results.
        options: how to read them.

    Raises:
        ValueError: a prediction has no target, or lies on another grid, or has other units; all of them by name.
    """
    cases = match_files(prediction, target, source)
    if not options.resample_target:
        _refuse_other_grids(cases)
    settings = {"version": VERSION, "protocol": PROTOCOL_VERSION, "options": [options.low, options.high, options.plane]}
    records = RecordFolder(output / "subjects", {**settings, "names": [case.name for case in cases]})
    references = _fit(cases, options)
    gathered = []
    for case in track(cases, f"Evaluating {prediction.name}", transient=True):
        record = records.find(case.key, case.paths)
        if record is None:
            record = _measure(case, references, options)
            records.save(case.key, case.paths, record)
        gathered.append(record)
    return assemble(
        title=prediction.name,
        method=METHOD,
        contrasts=(source.name if source else "source", target.name),
        part="all",
        plane=options.plane,
        resampled_targets=options.resample_target,
        records=gathered,
        audits=[],
        uncertainty_kind=None,
        warnings=["Reference methods were fitted on the evaluated targets: there is no training set here."],
        provenance=provenance() | {"predictions": str(prediction), "targets": str(target), "sources": str(source)},
        history=[],
        ways=[WAY],
    )


def _refuse_other_grids(cases: Sequence[PredictionFiles]) -> None:
    findings = []
    for case in cases:
        volumes = [read_volume(path) for path in case.paths]
        for path, volume in zip(case.paths[1:], volumes[1:], strict=True):
            first = volumes[0]
            if problem := grid_difference((first.array.shape, first.affine), (volume.array.shape, volume.affine)):
                findings.append(Finding("error", path, f"not on the grid of {case.prediction}: {problem}", ""))
    if findings:
        advice = "Resample predictions and targets to one grid, or use --resample-target (the report says so)."
        raise UnfitData(findings, len(cases), advice)


def _fit(cases: Sequence[PredictionFiles], options: PredictionOptions) -> References:
    fit, histograms = LookUpTableFit(), []
    for case in cases:
        target = read_scaled(case.target, ReadOptions())
        histograms.append(histogram(target.array[target.foreground]))
        if case.source is not None:
            source = read_scaled(case.source, ReadOptions())
            array, foreground = _on_grid(target, Grid(source.array.shape, source.affine))
            fit.add(source.array, array, foreground)
    return References(pooled(histograms), None, fit.table() if fit.counts.any() else None)


def _on_grid(volume: ScaledVolume, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Intensities and foreground of a volume on another grid."""
    foreground = resampled(volume.foreground.astype(np.float32), volume.affine, grid, order=0) > 0.5
    return resampled(volume.array, volume.affine, grid, order=1), foreground


def _measure(case: PredictionFiles, references: References, options: PredictionOptions) -> Record:
    began = perf_counter()
    images = _images(case, options)
    predictions = {METHOD: images.output, **references.predict(images)}
    assert images.target is not None
    real = {"b": describe(images.target, images.foreground, images.spacing_mm)}
    arrays = {"reduced_ab": reduced(images.output, images.spacing_mm)}
    if images.source is not None:
        arrays["reduced_a"] = reduced(images.source, images.spacing_mm)
    measured = measure_direction(images, predictions)
    measured["out_of_domain"] = []
    measured["seconds"] = {"generator": 0.0, "total": perf_counter() - began}
    values: dict[str, Any] = {
        "subject": case.name,
        "session": "",
        "files": {"prediction": str(case.prediction), "target": str(case.target), "source": str(case.source)},
        "real": real,
        "ways": {WAY: measured},
    }
    return Record(values, arrays)


def _images(case: PredictionFiles, options: PredictionOptions) -> SubjectImages:
    prediction = read_volume(case.prediction)
    grid = Grid(prediction.array.shape, prediction.affine)
    target, foreground = _on_grid(read_scaled(case.target, ReadOptions()), grid)
    output = (prediction.array - np.float32(options.low)) / np.float32(options.high - options.low)
    _require_range(case.prediction, output[foreground], options)
    source = source_foreground = None
    if case.source is not None:
        source, source_foreground = _on_grid(read_scaled(case.source, ReadOptions()), grid)

    def slices(array: np.ndarray) -> np.ndarray:
        return in_plane_order(array, grid.affine, options.plane)

    return SubjectImages(
        subject=case.name,
        source=None if source is None else slices(source),
        output=slices(output.clip(0, 1)),
        target=slices(target),
        foreground=slices(foreground),
        source_foreground=None if source_foreground is None else slices(source_foreground),
        spacing_mm=slice_spacing_mm(grid.affine, options.plane),
    )


def _require_range(path: Path, values: np.ndarray, options: PredictionOptions) -> None:
    beyond = float(np.mean((values < -0.05) | (values > 1.05))) if values.size else 0.0
    if beyond > MAX_BEYOND:
        low, high = (float(end) * (options.high - options.low) + options.low for end in (values.min(), values.max()))
        raise UnfitFile(
            path,
            f"{100 * beyond:.0f} % of the head lie beyond the range {options.low:g} to {options.high:g} of the "
            f"predictions (it has {low:.4g} to {high:.4g})",
            "Give the values that stand for the target's 0.5th and 99.5th percentiles: --prediction-range LOW,HIGH.",
        )
