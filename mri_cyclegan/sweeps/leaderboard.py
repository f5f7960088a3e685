"""The runs of a sweep, best first."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mri_cyclegan.evaluation.protocol import METRICS, Metric
from mri_cyclegan.sweeps.entries import RESOURCES, VALIDATION, Entry, Images, command_line, read_entry
from mri_cyclegan.sweeps.job_folders import failed, job_folders


@dataclass(frozen=True)
class Leaderboard:
    """Runs ranked by a metric.

    Attributes:
        entries: best first.
        metric: name of the metric.
        differing: override keys whose values differ between the runs.
        left_out: runs that cannot be ranked, each with the reason.
        failed: folders of jobs without a result, with the reason; not those whose overrides another job completed.
    """

    entries: list[Entry]
    metric: str
    differing: list[str]
    left_out: list[str]
    failed: dict[Path, str] = field(default_factory=dict)

    def as_csv(self) -> str:
        """One row per run."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        names = sorted({name for entry in self.entries for name in entry.metrics})
        measured = self.resources()
        writer.writerow(["rank", "run", *self.differing, *names, *measured])
        for rank, entry in enumerate(self.entries, start=1):
            overrides = [entry.overrides.get(key, "") for key in self.differing]
            metrics = [entry.metrics.get(name, "") for name in names]
            writer.writerow([rank, entry.folder, *overrides, *metrics, *(entry.resources.get(n, "") for n in measured)])
        return table.getvalue()

    def resources(self) -> list[str]:
        """Names of the resources measured in at least one run."""
        return [name for name in RESOURCES if any(name in entry.resources for entry in self.entries)]


def metric_named(name: str) -> Metric:
    """Look up a metric to rank by.

    Args:
        name: metric of the protocol, optionally with ``_ab`` or ``_ba``, or ``val_ssim``.

    Raises:
        ValueError: the metric is unknown.
    """
    if name == VALIDATION:
        return METRICS["ssim"]
    metric = METRICS.get(name.removesuffix("_ab").removesuffix("_ba"))
    if metric is None:
        raise ValueError(
            f"--metric: expected one of {', '.join(METRICS)}, perhaps with _ab or _ba, or {VALIDATION}; got {name!r}."
        )
    return metric


def rank_runs(root: Path, metric: str = "ssim") -> Leaderboard:
    """Read every run below a folder, and rank those measured on the most common set of images.

    Args:
        root: for example a sweep folder.
        metric: of :data:`mri_cyclegan.evaluation.protocol.METRICS`, such as ``ssim`` for the mean over directions,
            ``ssim_ab`` or ``ssim_ba`` for one direction; or ``val_ssim``, which needs no evaluation.

    Raises:
        ValueError: the metric is unknown, or no run has it.
    """
    higher_is_better = metric_named(metric).higher_is_better
    folders = job_folders(root)
    without_result = failed(folders)
    entries, left_out = [], []
    for folder in folders:
        try:
            entry = read_entry(folder, evaluated=metric != VALIDATION)
        except ValueError as error:
            if folder not in without_result:
                left_out.append(str(error))
            continue
        if metric in entry.metrics and not (metric == VALIDATION and folder in without_result):
            entries.append(entry)
            without_result.pop(folder, None)
        elif folder not in without_result:
            is_earlier = metric != VALIDATION and bool(entry.metrics)
            why = "by an earlier version: evaluate it again" if is_earlier else "without pairs"
            left_out.append(f"{entry.folder}: no {metric}, since it was {_action(metric)} {why}.")
    without_result = _latest_failures(without_result, entries)
    if not entries:
        reasons = [*left_out, *(f"{folder}: failed: {why}" for folder, why in without_result.items())]
        listed = "".join(f"\n- {reason}" for reason in reasons)
        raise ValueError(f"{root}: no {_action(metric)} run is below it. Give the folder of a sweep.{listed}")
    commonest = Counter(_measured_on(entry, metric) for entry in entries).most_common(1)[0][0]
    left_out += [_exclusion_reason(entry, commonest) for entry in entries if _measured_on(entry, metric) != commonest]
    entries = [entry for entry in entries if _measured_on(entry, metric) == commonest]
    best_first = sorted(entries, key=lambda entry: entry.metrics[metric], reverse=higher_is_better)
    return Leaderboard(best_first, metric, _differing(entries), left_out, without_result)


def _action(metric: str) -> str:
    return "validated" if metric == VALIDATION else "evaluated"


def _measured_on(entry: Entry, metric: str) -> Images | str | None:
    return entry.validated_on if metric == VALIDATION else entry.images


def _latest_failures(without_result: Mapping[Path, str], entries: Sequence[Entry]) -> dict[Path, str]:
    """Failed jobs, without those whose overrides another job completed or a later job also failed with."""
    finished = [sorted(entry.typed.values()) for entry in entries]
    latest: dict[tuple[str, ...], Path] = {}
    for folder in without_result:
        try:
            overrides = tuple(sorted(command_line(folder))) or (str(folder),)
        except ValueError:
            overrides = (str(folder),)
        if list(overrides) not in finished:
            latest[overrides] = folder
    return {folder: without_result[folder] for folder in latest.values()}


def _exclusion_reason(entry: Entry, commonest: Images | str | None) -> str:
    """Why a run cannot be ranked with the others."""
    if not isinstance(commonest, Images):
        if "data.fold" in entry.overrides:
            return f"{entry.folder}: a fold, validated on other people. Folds are no rivals: take their mean."
        return f"{entry.folder}: validated on other images than those ranked, or on other grids."
    assert entry.images is not None
    if entry.images.protocol_version != commonest.protocol_version:
        reason = (
            f"evaluated by protocol version {entry.images.protocol_version}, most runs by version "
            f"{commonest.protocol_version}; evaluate it again"
        )
    elif entry.images.part != commonest.part:
        reason = f"evaluated on {entry.images.part} subjects, most runs on {commonest.part} subjects"
    elif entry.images.resampled_targets != commonest.resampled_targets:
        resampled = "with" if entry.images.resampled_targets else "without"
        reason = f"evaluated {resampled} resampled targets, unlike most runs"
    else:
        reason = f"evaluated on other images ({len(entry.images.scans)}) than most runs ({len(commonest.scans)})"
    return f"{entry.folder}: {reason}."


def _differing(entries: Sequence[Entry]) -> list[str]:
    keys = sorted({key for entry in entries for key in entry.overrides})
    return [key for key in keys if len({entry.overrides.get(key) for entry in entries}) > 1]
