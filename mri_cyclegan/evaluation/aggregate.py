"""Aggregates the records of all subjects into the content of ``metrics.json``."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch

from mri_cyclegan.data.histograms import mean_histogram, wasserstein
from mri_cyclegan.evaluation.audits.audit import Audit
from mri_cyclegan.evaluation.audits.contrast import assess_contrast
from mri_cyclegan.evaluation.audits.copying import assess_copying
from mri_cyclegan.evaluation.audits.hidden_code import assess_hidden_code
from mri_cyclegan.evaluation.audits.invented_regions import assess_invented_regions
from mri_cyclegan.evaluation.audits.lesions import assess_lesions
from mri_cyclegan.evaluation.audits.registration import assess_registration
from mri_cyclegan.evaluation.audits.slice_consistency import assess_slice_consistency
from mri_cyclegan.evaluation.metrics.features import feature_distance
from mri_cyclegan.evaluation.metrics.spectrum import log_spectrum_distance
from mri_cyclegan.evaluation.metrics.subject_matching import subject_matching
from mri_cyclegan.evaluation.metrics.uncertainty import pooled_uncertainty
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.evaluation.report.cases import Case
from mri_cyclegan.evaluation.statistics import summary
from mri_cyclegan.evaluation.subjects.records import Record


@dataclass(frozen=True)
class DirectionResults:
    """All subjects' records of one direction.

    Attributes:
        direction: ``"ab"`` or ``"ba"``.
        records: records of the subjects translated in this direction.
        real_targets: :func:`mri_cyclegan.evaluation.subject_metrics.describe` of every real scan of the target
            contrast.
        target_features: (K, 2048), slice features of these scans; None without a feature network.
    """

    direction: str
    records: Sequence[Record]
    real_targets: Sequence[Mapping[str, Any]]
    target_features: np.ndarray | None

    def column(self, *keys: str) -> list[Any]:
        """One value per record, looked up by nested keys below the direction."""
        values: list[Any] = [record.values["ways"][self.direction] for record in self.records]
        for key in keys:
            values = [value[key] for value in values]
        return values

    def arrays(self, name: str) -> list[np.ndarray]:
        """The named array of each record."""
        return [record.arrays[name] for record in self.records]

    @property
    def target_histogram(self) -> np.ndarray:
        """Mean intensity histogram of the real scans of the target contrast."""
        return mean_histogram([np.array(real["histogram"]) for real in self.real_targets])


def group_by_direction(records: Sequence[Record], directions: Sequence[str]) -> list[DirectionResults]:
    """Results of each direction that at least one subject has, in the order of ``directions``."""
    found = []
    for direction in directions:
        having = [record for record in records if direction in record.values["ways"]]
        features = [r.arrays[f"features_{direction[1]}"] for r in records if f"features_{direction[1]}" in r.arrays]
        real = [record.values["real"][direction[1]] for record in records if direction[1] in record.values["real"]]
        if having and real:
            found.append(DirectionResults(direction, having, real, np.concatenate(features) if features else None))
    return found


def summarize(results: DirectionResults) -> dict[str, Any]:
    """Method → region → metric → mean, SD, median, worst and interval over the paired subjects.

    Several images of one subject are averaged first, because they are not independent samples.
    """
    by_subject: dict[str, list[Any]] = defaultdict(list)
    for record, metrics in zip(results.records, results.column("metrics"), strict=True):
        if metrics:
            by_subject[record.values["subject"]].append(metrics)
    if not by_subject:
        return {}

    def means(method: str, region: str, name: str) -> list[float]:
        return [fmean(metrics[method][region][name] for metrics in images) for images in by_subject.values()]

    first = next(iter(by_subject.values()))[0]
    return {
        method: {
            region: {
                name: summary(means(method, region, name), metric.higher_is_better) for name, metric in METRICS.items()
            }
            for region in regions
        }
        for method, regions in first.items()
    }


def compare_without_pairs(results: DirectionResults) -> dict[str, Any]:
    """Unpaired distances between outputs and real scans, and whether outputs match their own subjects."""
    outputs = results.column("output")
    histogram = mean_histogram([np.array(output["histogram"]) for output in outputs])
    spectra = [np.mean([image["spectrum"] for image in images], axis=0) for images in (outputs, results.real_targets)]
    return {
        "wasserstein": wasserstein(histogram, results.target_histogram),
        "spectrum_distance": log_spectrum_distance(*spectra),
        "subject_matching": _matching(results),
        "fid": _feature_distance(results),
    }


def _matching(results: DirectionResults) -> dict[str, float | int] | None:
    if f"reduced_{results.direction[0]}" not in results.records[0].arrays:
        return None
    outputs, sources = results.arrays(f"reduced_{results.direction}"), results.arrays(f"reduced_{results.direction[0]}")
    return subject_matching(outputs, sources, [record.values["subject"] for record in results.records])


def _feature_distance(results: DirectionResults) -> dict[str, Any] | None:
    if results.target_features is None:
        return None
    outputs = np.concatenate(results.arrays(f"features_{results.direction}"))
    if min(len(outputs), len(results.target_features)) < 2:
        return None
    return feature_distance(torch.from_numpy(outputs), torch.from_numpy(results.target_features))


def assess_direction(results: DirectionResults) -> list[Audit]:
    """Run every audit of one direction."""
    direction = results.direction

    def of(name: str) -> list[dict[str, Any]]:
        return [audits.get(name, {}) for audits in results.column("audits")]

    histograms = [np.array(output["histogram"]) for output in results.column("output")]
    differences = [real["slice_difference"] for real in results.real_targets if real["slice_difference"] is not None]
    return [
        assess_copying(of("copying"), histograms, results.target_histogram, direction),
        assess_hidden_code(of("hidden_code"), direction),
        assess_slice_consistency(of("slice_consistency"), direction, differences),
        assess_contrast(of("contrast"), direction),
        assess_lesions(of("lesions"), direction),
        assess_invented_regions(of("invented_regions"), direction),
        assess_registration(of("registration"), direction),
    ]


def summarize_uncertainty(found: Sequence[DirectionResults], kind: str | None) -> dict[str, Any] | None:
    """How well the output's standard deviation predicts its error; None for a single output."""
    if kind is None:
        return None
    measured = {d.direction: [one for one in d.column("uncertainty") if one is not None] for d in found}
    return {"kind": kind, **{direction: pooled_uncertainty(rows) for direction, rows in measured.items() if rows}}


def choose_cases(results: DirectionResults) -> list[Case]:
    """Worst, median and best image by the model's foreground SSIM; without pairs the first three records."""
    method = next((next(iter(metrics)) for metrics in results.column("metrics") if metrics), None)
    if method is None:
        return [_case("", record, results.direction, None) for record in results.records[:3]]
    paired = [record for record in results.records if record.values["ways"][results.direction]["metrics"]]
    scored = sorted(((_ssim(record, results.direction, method), index) for index, record in enumerate(paired)))
    places = {"worst": 0, "median": (len(scored) - 1) // 2, "best": len(scored) - 1}
    chosen = {scored[place]: label for label, place in reversed(places.items())}  # one image may be all three
    return [_case(label, paired[index], results.direction, ssim) for (ssim, index), label in sorted(chosen.items())]


def _ssim(record: Record, direction: str, method: str) -> float:
    return record.values["ways"][direction]["metrics"][method]["foreground"]["ssim"]


def _case(label: str, record: Record, direction: str, ssim: float | None) -> Case:
    values = record.values["ways"][direction]
    name = " ".join(filter(None, (record.values["subject"], record.values["session"])))
    return Case(label, name, ssim, values["slice_numbers"], values["slices"])
