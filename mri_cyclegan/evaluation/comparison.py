"""Two evaluated models on the same subjects."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION
from mri_cyclegan.evaluation.statistics import paired_difference

REGION = "foreground"

# way → metric → difference
Differences = dict[str, dict[str, dict[str, Any]]]


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Content of a folder's ``metrics.json``.

    Raises:
        ValueError: there is none, or it is of another protocol.
    """
    path = folder / "metrics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}). Evaluate the run first.") from error
    if content.get("protocol_version") != PROTOCOL_VERSION:
        raise ValueError(
            f"{path}: protocol version {content.get('protocol_version')}, this is {PROTOCOL_VERSION}. "
            "Evaluate the run again."
        )
    return content


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Differences:
    """Paired differences, second minus first, over the foreground.

    Args:
        first: content of ``metrics.json``.
        second: likewise.

    Returns:
        Direction → metric → ``mean`` difference with its interval ``low`` to ``high``, ``p_value`` of the Wilcoxon
        signed-rank test, ``num_subjects``, and the means ``first`` and ``second``.

    Raises:
        ValueError: they are not of the same subjects and directions.
    """
    differences: Differences = {}
    if first["directions"] != second["directions"]:
        raise ValueError(f"Not the same directions: {first['directions']} and {second['directions']}.")
    for way in first["directions"]:
        values = [_values(content, way) for content in (first, second)]
        _require_same_subjects(*values)
        keys = sorted(values[0])
        if not keys:
            raise ValueError(
                "No pairs, so there is nothing to compare: paired metrics need both contrasts of a subject."
            )
        differences[way] = {}
        for metric in METRICS:
            columns = [[of_subject[key][metric] for key in keys] for of_subject in values]
            means = {name: sum(column) / len(column) for name, column in zip(("first", "second"), columns, strict=True)}
            differences[way][metric] = {**paired_difference(columns[1], columns[0]), **means}
    return differences


def _values(content: Mapping[str, Any], way: str) -> dict[tuple[str, str, int], Mapping[str, float]]:
    """Metrics of each subject; several scans of one session are counted."""
    found: dict[tuple[str, str, int], Mapping[str, float]] = {}
    for subject in content["subjects"]:
        metrics = subject["ways"].get(way, {}).get("metrics")
        if metrics:
            number = 0
            while (subject["subject"], subject["session"], number) in found:
                number += 1
            found[subject["subject"], subject["session"], number] = metrics[content["method"]][REGION]
    return found


def _require_same_subjects(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> None:
    only = [sorted({key[0] for key in one.keys() - other.keys()}) for one, other in ((first, second), (second, first))]
    if any(only):
        raise ValueError(
            f"Not the same subjects: only in the first {_names(only[0])}; only in the second {_names(only[1])}. "
            "Evaluate both on the same part of the same data (--split, --data-root)."
        )


def _names(names: Sequence[str]) -> str:
    return (", ".join(names[:10]) + (" …" if len(names) > 10 else "")) or "none"
