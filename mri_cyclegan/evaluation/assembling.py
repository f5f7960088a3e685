"""From the records of all subjects to the content of ``metrics.json``."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch

from mri_cyclegan.data.histograms import pooled, wasserstein
from mri_cyclegan.evaluation.audits.audit import Audit
from mri_cyclegan.evaluation.audits.contrast import judge_contrast
from mri_cyclegan.evaluation.audits.copying import judge_copying
from mri_cyclegan.evaluation.audits.hidden_code import judge_hidden_code
from mri_cyclegan.evaluation.audits.invented_regions import judge_invented_regions
from mri_cyclegan.evaluation.audits.lesions import judge_lesions
from mri_cyclegan.evaluation.audits.registration import judge_registration
from mri_cyclegan.evaluation.audits.slice_consistency import judge_slice_consistency
from mri_cyclegan.evaluation.metrics.features import feature_distance
from mri_cyclegan.evaluation.metrics.spectrum import log_spectrum_distance
from mri_cyclegan.evaluation.metrics.subject_matching import subject_matching
from mri_cyclegan.evaluation.metrics.uncertainty import pooled_uncertainty
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.evaluation.report.cases import Case
from mri_cyclegan.evaluation.statistics import summary
from mri_cyclegan.evaluation.subjects.records import Record


@dataclass(frozen=True)
class Direction:
    """All subjects' records of one direction.

    Attributes:
        way: ``"ab"`` or ``"ba"``.
        records: of the subjects that have it.
        real_targets: of every subject with a real scan of the target contrast, its
            :func:`mri_cyclegan.evaluation.measuring.describe`.
        target_features: (K, 2048) features of slices of these scans; None without a feature network.
    """

    way: str
    records: Sequence[Record]
    real_targets: Sequence[Mapping[str, Any]]
    target_features: np.ndarray | None

    def column(self, *keys: str) -> list[Any]:
        """One value of each record of the direction, by its keys."""
        values: list[Any] = [record.values["ways"][self.way] for record in self.records]
        for key in keys:
            values = [value[key] for value in values]
        return values

    def arrays(self, name: str) -> list[np.ndarray]:
        """One array of each record."""
        return [record.arrays[name] for record in self.records]

    @property
    def target_histogram(self) -> np.ndarray:
        """Of the target contrast: mean over its real scans."""
        return pooled([np.array(real["histogram"]) for real in self.real_targets])


def directions_of(records: Sequence[Record], ways: Sequence[str]) -> list[Direction]:
    """The directions that at least one subject has, in the order of ``ways``."""
    directions = []
    for way in ways:
        having = [record for record in records if way in record.values["ways"]]
        features = [r.arrays[f"features_{way[1]}"] for r in records if f"features_{way[1]}" in r.arrays]
        real = [record.values["real"][way[1]] for record in records if way[1] in record.values["real"]]
        if having and real:
            directions.append(Direction(way, having, real, np.concatenate(features) if features else None))
    return directions


def summarise(direction: Direction) -> dict[str, Any]:
    """Method → region → metric → mean, SD, median, worst and interval over the subjects that have pairs.

    Several images of one subject are no subjects of their own: they are averaged first.
    """
    by_subject: dict[str, list[Any]] = defaultdict(list)
    for record, metrics in zip(direction.records, direction.column("metrics"), strict=True):
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


def compare_without_pairs(direction: Direction) -> dict[str, Any]:
    """Distances of outputs and real scans that need no pairs, and whether outputs show their own subjects."""
    outputs = direction.column("output")
    histogram = pooled([np.array(output["histogram"]) for output in outputs])
    spectra = [np.mean([image["spectrum"] for image in images], axis=0) for images in (outputs, direction.real_targets)]
    return {
        "wasserstein": wasserstein(histogram, direction.target_histogram),
        "spectrum_distance": log_spectrum_distance(*spectra),
        "subject_matching": _matching(direction),
        "fid": _feature_distance(direction),
    }


def _matching(direction: Direction) -> dict[str, float | int] | None:
    if f"reduced_{direction.way[0]}" not in direction.records[0].arrays:
        return None
    outputs, sources = direction.arrays(f"reduced_{direction.way}"), direction.arrays(f"reduced_{direction.way[0]}")
    return subject_matching(outputs, sources, [record.values["subject"] for record in direction.records])


def _feature_distance(direction: Direction) -> dict[str, Any] | None:
    if direction.target_features is None:
        return None
    outputs = np.concatenate(direction.arrays(f"features_{direction.way}"))
    if min(len(outputs), len(direction.target_features)) < 2:
        return None
    return feature_distance(torch.from_numpy(outputs), torch.from_numpy(direction.target_features))


def judge(direction: Direction) -> list[Audit]:
    """Every audit of one direction."""
    way = direction.way

    def of(name: str) -> list[dict[str, Any]]:
        return [audits.get(name, {}) for audits in direction.column("audits")]

    histograms = [np.array(output["histogram"]) for output in direction.column("output")]
    differences = [real["slice_difference"] for real in direction.real_targets if real["slice_difference"] is not None]
    return [
        judge_copying(of("copying"), histograms, direction.target_histogram, way),
        judge_hidden_code(of("hidden_code"), way),
        judge_slice_consistency(of("slice_consistency"), way, differences),
        judge_contrast(of("contrast"), way),
        judge_lesions(of("lesions"), way),
        judge_invented_regions(of("invented_regions"), way),
        judge_registration(of("registration"), way),
    ]


def uncertainty_of(directions: Sequence[Direction], kind: str | None) -> dict[str, Any] | None:
    """Whether the spread predicts the error; None for a single output."""
    if kind is None:
        return None
    measured = {d.way: [one for one in d.column("uncertainty") if one is not None] for d in directions}
    return {"kind": kind, **{way: pooled_uncertainty(rows) for way, rows in measured.items() if rows}}


def choose_cases(direction: Direction) -> list[Case]:
    """The worst, the median and the best subject by foreground SSIM of the model; without pairs the first three."""
    method = next((next(iter(metrics)) for metrics in direction.column("metrics") if metrics), None)
    if method is None:
        return [_case("", record, direction.way, None) for record in direction.records[:3]]
    paired = [record for record in direction.records if record.values["ways"][direction.way]["metrics"]]
    scored = sorted(((_ssim(record, direction.way, method), index) for index, record in enumerate(paired)))
    places = {"worst": 0, "median": (len(scored) - 1) // 2, "best": len(scored) - 1}
    chosen = {scored[place]: label for label, place in reversed(places.items())}  # one subject may be all three
    return [_case(label, paired[index], direction.way, ssim) for (ssim, index), label in sorted(chosen.items())]


def _ssim(record: Record, way: str, method: str) -> float:
    return record.values["ways"][way]["metrics"][method]["foreground"]["ssim"]


def _case(label: str, record: Record, way: str, ssim: float | None) -> Case:
    values = record.values["ways"][way]
    name = " ".join(filter(None, (record.values["subject"], record.values["session"])))
    return Case(label, name, ssim, values["slice_numbers"], values["slices"])
