"""Evaluates volumes predicted by any other program, with the same protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.markup import escape
from rich.progress import track

from mri_cyclegan.data.aligned import grid_of, on_grid
from mri_cyclegan.data.findings import EmptyScan, Finding, UnfitData, UnfitFile
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.grids import Grid, grid_difference, inside_field_of_view
from mri_cyclegan.data.histograms import histogram, mean_histogram
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.scaled_reading import read_scaled
from mri_cyclegan.data.volume import Volume
from mri_cyclegan.evaluation.baselines import FittedBaselines, LookUpTableFit
from mri_cyclegan.evaluation.metrics.subject_matching import downsample
from mri_cyclegan.evaluation.protocol import PROTOCOL_VERSION
from mri_cyclegan.evaluation.results import Evaluation, assemble
from mri_cyclegan.evaluation.run_metrics import VERSION
from mri_cyclegan.evaluation.subject_metrics import image_statistics, measure_direction
from mri_cyclegan.evaluation.subjects.images import SubjectImages
from mri_cyclegan.evaluation.subjects.own_translations import sidecar_range
from mri_cyclegan.evaluation.subjects.prediction_files import PredictionFiles, match_files
from mri_cyclegan.evaluation.subjects.records import Record, RecordFolder
from mri_cyclegan.evaluation.subjects.slice_order import in_plane_order, slice_spacing_mm
from mri_cyclegan.inference.jobs import sidecar_of
from mri_cyclegan.provenance import provenance

METHOD = "prediction"
DIRECTION = "ab"

# Largest share of the foreground that may lie outside the prediction range; above it the range must be wrong.
MAX_SHARE_OUT_OF_RANGE = 0.2

# Share of the target's foreground that a prediction must cover; below it the metrics would not describe that head.
MIN_COVERED = 0.9


@dataclass(frozen=True)
class PredictionOptions:
    """How to read predictions.

    Attributes:
        low: prediction value that maps to 0 on the protocol's scale, the target's 0.5th percentile; None to read it
            from the sidecar that ``translate`` wrote, or else 0.
        high: prediction value that maps to 1, the target's 99.5th percentile; None as for ``low``, or else 1.
        plane: slice plane for SSIM.
        pairs: ``"grid"`` refuses targets on other grids, ``"space"`` resamples them by their affines.

    Raises:
        ValueError: ``low`` and ``high`` are not finite and increasing, or ``pairs`` is ``"register"``.
    """

    low: float | None = None
    high: float | None = None
    plane: str = "axial"
    pairs: str = "grid"

    def __post_init__(self) -> None:
        if self.pairs == "register":
            raise ValueError(
                "--pairs register: a target registered to the prediction it judges would flatter it. Register the "
                "targets to the sources before you predict, or use --pairs space."
            )
        if self.low is None or self.high is None:
            return
        with np.errstate(over="ignore"):
            width = float(np.float32(self.high - self.low))
        if not (np.isfinite([self.low, self.high, width]).all() and width > 0):
            raise ValueError(
                f"--prediction-range: expected two finite numbers LOW,HIGH such as 0,1 or -1,1; "
                f"got {self.low:g},{self.high:g}."
            )

    def range_of(self, prediction: Path) -> tuple[float, float]:
        """Values of a prediction that map to 0 and 1 on the protocol's scale."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        return sidecar_range(prediction) or (0.0, 1.0)


def evaluate_predictions(
    prediction: Path, target: Path, source: Path | None, output: Path, options: PredictionOptions
) -> Evaluation:
    """Evaluate a folder of predictions.

    Args:
        prediction: folder of predicted volumes, NIfTI or pictures.
        target: folder of the true volumes.
        source: folder of the source volumes; None skips everything that needs a source.
        output: folder of the results.
        options: how to read the predictions.

    Raises:
        ValueError: a prediction has no target, does not overlap it, is on another grid, is constant, or has values
            outside the range; the message names it.
    """
    cases = match_files(prediction, target, source)
    if options.pairs == "grid":
        _refuse_other_grids(cases)
    references, warnings = _fit_baselines(cases)
    settings = {
        "version": [VERSION, version("mri-cyclegan")],
        "protocol": PROTOCOL_VERSION,
        "options": [options.low, options.high, options.plane],
        "references": references.digest(),
    }
    records = RecordFolder(output / "subjects", settings)
    title = prediction.resolve().name
    gathered = []
    for case in track(cases, f"Evaluating {escape(title)}", transient=True):
        sources = [*case.paths, *filter(Path.is_file, [sidecar_of(case.prediction)])]
        record = records.find(case.key, sources)
        if record is None:
            record = _measure(case, references, options)
            records.save(case.key, sources, record)
        gathered.append(record)
    return assemble(
        title=title,
        method=METHOD,
        contrasts=(source.resolve().name if source else "source", target.resolve().name),
        part="all",
        plane=options.plane,
        records=gathered,
        audits=[],
        uncertainty_kind=None,
        warnings=[*_warnings(cases), *warnings],
        provenance=provenance()
        | {"predictions": str(prediction), "targets": str(target), "sources": str(source)}
        | {"prediction range": sorted({"{:g} to {:g}".format(*options.range_of(case.prediction)) for case in cases})},
        history=[],
        directions=[DIRECTION],
    )


def _warnings(cases: Sequence[PredictionFiles]) -> list[str]:
    sentences = ["Reference methods were fitted on the evaluated targets: there is no training set here."]
    is_picture = [case.prediction.name.lower().endswith(PICTURE_SUFFIXES) for case in cases]
    if any(is_picture) and len({case.subject for case in cases}) == len(cases) > 1:
        sentences.append(
            "Each picture counts as a subject of its own: where several are slices of one head, intervals are too "
            "narrow. Names or folders such as sub-07 say whose they are."
        )
    return sentences


def _refuse_other_grids(cases: Sequence[PredictionFiles]) -> None:
    findings = []
    advice = "Repair these files, or remove them."
    for case in cases:
        try:
            grids = [read_shape(path) for path in case.paths]
        except UnfitFile as error:
            findings.append(error.finding)
            continue
        for path, grid in zip(case.paths[1:], grids[1:], strict=True):
            if problem := grid_difference(grids[0], grid):
                findings.append(Finding("error", path, f"not on the grid of {case.prediction}: {problem}", ""))
                advice = "Resample predictions and targets to one grid, or use --pairs space (the report says so)."
    if findings:
        raise UnfitData(findings, len(cases), advice)


def _fit_baselines(cases: Sequence[PredictionFiles]) -> tuple[FittedBaselines, list[str]]:
    """Fitted reference methods, and warnings about the targets and sources."""
    fit, histograms = LookUpTableFit(), []
    warnings: list[str] = []
    for case in cases:
        target = _read_real(case.target)
        warnings += [str(warning.of(case.target)) for warning in target.warnings]
        histograms.append(histogram(target.array[target.foreground]))
        if case.source is not None:
            source = _read_real(case.source)
            warnings += [str(warning.of(case.source)) for warning in source.warnings]
            array, foreground = on_grid(target, grid_of(source))
            fit.add(source.array, array, foreground)
    return FittedBaselines(mean_histogram(histograms), None, fit.table() if fit.counts.any() else None), warnings


def _measure(case: PredictionFiles, references: FittedBaselines, options: PredictionOptions) -> Record:
    began = perf_counter()
    images = _images(case, options)
    predictions = {METHOD: images.output, **references.predict(images)}
    assert images.target is not None
    real = {"b": image_statistics(images.target, images.foreground, images.spacing_mm)}
    arrays = {"reduced_ab": downsample(images.output, images.spacing_mm)}
    if images.source is not None:
        arrays["reduced_a"] = downsample(images.source, images.spacing_mm)
    measured = measure_direction(images, predictions)
    measured["out_of_domain"] = []
    measured["seconds"] = {"generator": 0.0, "total": perf_counter() - began}
    values: dict[str, Any] = {
        "subject": case.subject,
        "session": case.session,
        "scan": case.scan,
        "files": {"prediction": str(case.prediction), "target": str(case.target), "source": str(case.source)},
        "pairing": _alignment(case),
        "real": real,
        "ways": {DIRECTION: measured},
    }
    return Record(values, arrays)


def _alignment(case: PredictionFiles) -> dict[str, Any] | None:
    """How target and prediction were aligned, in the form of :meth:`mri_cyclegan.data.aligned.Aligned.as_json`."""
    difference = grid_difference(read_shape(case.prediction), read_shape(case.target))
    return {"difference": difference, "registration": None} if difference else None


def _images(case: PredictionFiles, options: PredictionOptions) -> SubjectImages:
    prediction = _read_prediction(case.prediction)
    grid = Grid(prediction.array.shape, prediction.affine)
    truth = _read_real(case.target)
    target, foreground = on_grid(truth, grid)
    _require_covered(case, truth, grid, foreground)
    low, high = options.range_of(case.prediction)
    output = (prediction.array - np.float32(low)) / np.float32(high - low)
    _require_range(case.prediction, output[foreground], low, high)
    source = source_foreground = None
    if case.source is not None:
        source, source_foreground = on_grid(_read_real(case.source), grid)
        _require_source(case, source_foreground & foreground)

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
        covered=slices(inside_field_of_view(grid_of(truth), grid)),
    )


def _read_real(path: Path) -> ScaledVolume:
    try:
        return read_scaled(path)[0]
    except EmptyScan as error:  # a run skips empty scans; here the user chose the file
        raise UnfitFile(path, error.finding.problem, "Remove it and its prediction.") from error


def _read_prediction(path: Path) -> Volume:
    prediction = read_volume(path)
    if prediction.array.min() == prediction.array.max():
        raise UnfitFile(path, "all voxels have the same value", "Predict it again, or remove it.")
    return prediction


def _require_covered(case: PredictionFiles, target: ScaledVolume, grid: Grid, foreground: np.ndarray) -> None:
    """Raise if a prediction covers too little of the target's foreground."""
    reached = inside_field_of_view(grid, grid_of(target)) & target.foreground
    voxel_ml = abs(np.linalg.det(target.affine[:3, :3])) / 1000
    reached_ml, whole_ml = (voxel_ml * np.count_nonzero(mask) for mask in (reached, target.foreground))
    if reached_ml < MIN_COVERED * whole_ml or not foreground.any():
        raise UnfitFile(
            case.prediction,
            f"only {reached_ml:.3g} of the {whole_ml:.3g} ml that {case.target} shows lie within it "
            f"({100 * reached_ml / whole_ml:.0f} %; at least {100 * MIN_COVERED:.0f} % must)",
            "Give the whole prediction, in the target's place, or a target cropped as it is.",
        )


def _require_source(case: PredictionFiles, common: np.ndarray) -> None:
    """Raise if source and target foregrounds do not overlap: the source histogram would be empty."""
    if not common.any():
        assert case.source is not None
        raise UnfitFile(
            case.source,
            f"it shows nothing where {case.target} shows the head: not registered",
            "Register the two, or leave out --source.",
        )


def _require_range(path: Path, values: np.ndarray, low: float, high: float) -> None:
    """Raise if too many values, on the protocol's scale, lie more than 0.05 outside [0, 1]."""
    beyond = float(np.mean((values < -0.05) | (values > 1.05))) if values.size else 0.0
    if beyond > MAX_SHARE_OUT_OF_RANGE:
        smallest, largest = (float(end) * (high - low) + low for end in (values.min(), values.max()))
        such_as = " (0,255: pictures of 8 bits)" if path.name.lower().endswith(PICTURE_SUFFIXES) else ""
        raise UnfitFile(
            path,
            f"{100 * beyond:.0f} % of the head lie beyond the range {low:g} to {high:g} of the "
            f"predictions (it has {smallest:.4g} to {largest:.4g})",
            "Give the values that stand for the target's 0.5th and 99.5th percentiles: --prediction-range LOW,HIGH"
            f"{such_as}.",
        )
