"""Evaluates volumes that some other program made, by the same protocol."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.progress import track

from mri_cyclegan.data.findings import Finding, UnfitData, UnfitFile
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.histograms import histogram, pooled
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.data.walking import walk
from mri_cyclegan.evaluation.measuring import describe, measure_direction
from mri_cyclegan.evaluation.metrics.subject_matching import reduced
from mri_cyclegan.evaluation.protocol import PROTOCOL_VERSION
from mri_cyclegan.evaluation.provenance import provenance
from mri_cyclegan.evaluation.reference import LookUpTableFit, References
from mri_cyclegan.evaluation.run_evaluation import VERSION
from mri_cyclegan.evaluation.subjects.images import SubjectImages
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


@dataclass(frozen=True)
class _Case:
    """Files of one subject."""

    name: str
    prediction: Path
    target: Path
    source: Path | None

    @property
    def paths(self) -> list[Path]:
        return [path for path in (self.prediction, self.target, self.source) if path is not None]

    @property
    def key(self) -> str:
        return re.sub(r"[^\w.-]", "-", self.name)


def evaluate_predictions(
    prediction: Path, target: Path, source: Path | None, output: Path, options: PredictionOptions
) -> Evaluation:
    """Evaluate a folder of predictions.

    Files belong together that have the same path below their folders, or else the same ``sub-`` and ``ses-`` in it, or
    else the same name.

    Args:
        prediction: folder of predicted volumes, NIfTI or pictures.
        target: folder of the true ones.
        source: folder of what they were predicted from; None leaves out what needs it.
        output: folder of the results.
        options: how to read them.

    Raises:
        ValueError: a prediction has no target, or lies on another grid, or has other units; all of them by name.
    """
    cases = _match(prediction, target, source)
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


def _match(prediction: Path, target: Path, source: Path | None) -> list[_Case]:
    predictions, targets = _files(prediction), _files(target)
    sources = {} if source is None else _files(source)
    cases, findings = [], []
    for name, path in predictions.items():
        true, origin = _partner(name, targets), _partner(name, sources)
        if true is None:
            findings.append(
                Finding("error", path, f"no target for it in {target}", "Add it, or remove the prediction.")
            )
        elif source is not None and origin is None:
            findings.append(Finding("error", path, f"no source for it in {source}", "Add it, or leave out --source."))
        else:
            cases.append(_Case(_entities(name) or _stem(name), path, true, origin))
    if findings:
        raise UnfitData(findings, len(predictions), "Files belong together by path, by sub- and ses-, or by name.")
    return cases


def _files(folder: Path) -> dict[str, Path]:
    """Images below a folder by their path in it."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. Give a folder of NIfTI files or pictures.")
    suffixes = (*NIFTI_SUFFIXES, *PICTURE_SUFFIXES)
    paths = [path for _, files in walk(folder, []) for path in files if path.name.lower().endswith(suffixes)]
    if not paths:
        raise ValueError(f"{folder}: no image in it. Expected files that end in {', '.join(suffixes)}.")
    return {str(path.relative_to(folder)): path for path in sorted(paths)}


def _partner(name: str, others: dict[str, Path]) -> Path | None:
    if name in others:
        return others[name]
    for rule in (_entities, _stem):
        wanted = rule(name)
        found = [path for other, path in others.items() if wanted and rule(other) == wanted]
        if len(found) == 1:
            return found[0]
    return None


def _entities(name: str) -> str:
    """``sub-`` and ``ses-`` of a BIDS name; empty without a subject."""
    subject, session = (re.search(pattern, name) for pattern in (r"sub-[A-Za-z0-9]+", r"ses-[A-Za-z0-9]+"))
    return "_".join(match.group() for match in (subject, session) if match) if subject else ""


def _stem(name: str) -> str:
    return re.sub(r"(\.nii(\.gz)?|\.png|\.jpe?g)$", "", Path(name).name, flags=re.IGNORECASE)


def _refuse_other_grids(cases: Sequence[_Case]) -> None:
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


def _fit(cases: Sequence[_Case], options: PredictionOptions) -> References:
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


def _measure(case: _Case, references: References, options: PredictionOptions) -> Record:
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


def _images(case: _Case, options: PredictionOptions) -> SubjectImages:
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
