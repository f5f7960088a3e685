"""Compares two evaluated models on the same subjects."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from pathlib import Path
from statistics import fmean
from typing import Any

from mri_cyclegan.evaluation.protocol import PROTOCOL_VERSION, available_metrics
from mri_cyclegan.evaluation.statistics import paired_difference

REGION = "foreground"

# direction → metric → difference
Differences = dict[str, dict[str, dict[str, Any]]]

# Subject, session, scan, and a counter that distinguishes entries with the same three names.
Key = tuple[str, str, str, int]


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Read and check a folder's ``metrics.json``.

    Raises:
        ValueError: it is missing or unreadable, has an unknown protocol version, or has unexpected content.
    """
    path = folder / "metrics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read ({error}). Evaluate the run first.") from error
    version = content.get("protocol_version") if isinstance(content, dict) else None
    if version not in range(1, PROTOCOL_VERSION + 1):
        raise ValueError(f"{path}: protocol version {version}, this is {PROTOCOL_VERSION}. Evaluate the run again.")
    try:
        _validate(content)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: not what an evaluation writes ({reason}). Evaluate the run again.") from error
    return content


def _validate(content: Mapping[str, Any]) -> None:
    """Look up everything a comparison and a leaderboard need, so that a missing or malformed value raises now."""
    method = content["method"]
    for direction, contrasts in content["directions"].items():
        _require_strings(contrasts)
        if content["summary"][direction]:
            means = content["summary"][direction][method][REGION]
            _require_finite({name: means[name]["mean"] for name in available_metrics(content)}, f"mean of {direction}")
        for metrics in (values for values, _ in _metrics_by_scan(content, direction).values()):
            _require_finite({name: metrics[name] for name in available_metrics(content)}, direction)
    for subject in content["subjects"]:
        _require_strings([subject["subject"], subject["session"], subject.get("scan", "")])
    _require_strings([content["part"]])
    _require_strings(content.get("chose_epoch", []))
    if not isinstance(content["resampled_targets"], bool) or not isinstance(content["provenance"], dict):
        raise ValueError("resampled_targets or provenance are of another kind")


def _require_strings(words: Any) -> None:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{words!r}, expected names")


def _require_finite(values: Mapping[str, Any], place: str) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}, {place}: {value}, expected a finite number")


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Differences:
    """Paired differences, second minus first, over the foreground.

    Several scans or sessions of a subject are averaged first: subjects are independent, scans of one subject are not.

    Args:
        first: content of one model's ``metrics.json``.
        second: content of the other model's ``metrics.json``.

    Returns:
        Direction → metric → ``mean`` difference with its interval ``low`` to ``high``, ``p_value`` of the Wilcoxon
        signed-rank test, ``num_subjects``, and the means ``first`` and ``second``.

    Raises:
        ValueError: images, directions or protocol versions differ, or there are no pairs.
    """
    differences: Differences = {}
    versions = first["protocol_version"], second["protocol_version"]
    if versions[0] != versions[1]:
        raise ValueError(f"Not the same protocol: versions {versions[0]} and {versions[1]}. Evaluate both again.")
    if first["directions"] != second["directions"]:
        raise ValueError(f"Not the same directions: {first['directions']} and {second['directions']}.")
    for direction in first["directions"]:
        values = [_metrics_by_scan(content, direction) for content in (first, second)]
        _require_same_images(*values)
        if not values[0]:
            raise ValueError(
                "No pairs, so there is nothing to compare: paired metrics need both contrasts of a subject."
            )
        differences[direction] = {}
        for metric in (name for name in available_metrics(first) if name in available_metrics(second)):
            columns = [_subject_means(of_scans, metric) for of_scans in values]
            means = {name: fmean(column) for name, column in zip(("first", "second"), columns, strict=True)}
            differences[direction][metric] = {**paired_difference(columns[1], columns[0]), **means}
    return differences


def _metrics_by_scan(
    content: Mapping[str, Any], direction: str
) -> dict[Key, tuple[Mapping[str, float], Mapping[str, str]]]:
    """Foreground metrics and file hashes of each pair of scans; a counter distinguishes pairs with the same names."""
    found: dict[Key, tuple[Mapping[str, float], Mapping[str, str]]] = {}
    times: Counter[tuple[str, str, str]] = Counter()
    # Sort by hash: folder order may differ between machines, and the counter depends on the order.
    for subject in sorted(content["subjects"], key=lambda one: sorted(one.get("hashes", {}).items())):
        metrics = subject["ways"].get(direction, {}).get("metrics")
        if metrics:
            names = subject["subject"], subject["session"], subject.get("scan", "")
            found[*names, times[names]] = metrics[content["method"]][REGION], subject.get("hashes", {})
            times[names] += 1
    return found


def _subject_means(of_scans: Mapping[Key, tuple[Mapping[str, float], Any]], metric: str) -> list[float]:
    """Mean of a metric over each subject's scans, ordered by subject name."""
    of_subjects: dict[str, list[float]] = defaultdict(list)
    for key in sorted(of_scans):
        of_subjects[key[0]].append(of_scans[key][0][metric])
    return [fmean(values) for values in of_subjects.values()]


def _require_same_images(first: Mapping[Key, tuple[Any, Any]], second: Mapping[Key, tuple[Any, Any]]) -> None:
    advice = "Evaluate both on the same part of the same data (--split, --data-root)."
    only = [one.keys() - other.keys() for one, other in ((first, second), (second, first))]
    if any(only):
        raise ValueError(
            f"Not the same subjects: only in the first {_names(only[0])}; only in the second {_names(only[1])}. "
            + advice
        )
    changed = {key for key in first if first[key][1] != second[key][1]}
    if changed:
        raise ValueError(f"Not the same images, although their names are the same: {_names(changed)}. {advice}")


def _names(keys: Set[Key]) -> str:
    # The scan name often contains subject and session already.
    parts = [(*(part for part in key[:2] if part not in key[2]), key[2]) for key in keys]
    names = sorted({" ".join(filter(None, of_scan)) for of_scan in parts})
    return (", ".join(names[:10]) + (" …" if len(names) > 10 else "")) or "none"
