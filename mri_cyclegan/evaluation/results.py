"""Assembles the results of an evaluation and writes its files."""

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.evaluation.aggregate import (
    assess_direction,
    choose_cases,
    compare_without_pairs,
    group_by_direction,
    summarize,
    summarize_uncertainty,
)
from mri_cyclegan.evaluation.audits.audit import Audit
from mri_cyclegan.evaluation.evaluated_subjects import caveats
from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION, metrics_as_json
from mri_cyclegan.evaluation.report.cases import Case
from mri_cyclegan.evaluation.report.page import write_report
from mri_cyclegan.evaluation.subjects.records import Record
from mri_cyclegan.evaluation.verdict import verdict
from mri_cyclegan.filesystem import atomic_write_text, escapes


@dataclass(frozen=True)
class Evaluation:
    """Complete results of an evaluation.

    Attributes:
        content: content of ``metrics.json``, plain JSON values.
        cases: direction to the subjects whose slices the report shows.
        history: losses and validation metrics of each epoch.
    """

    content: Mapping[str, Any]
    cases: Mapping[str, Sequence[Case]]
    history: Sequence[Mapping[str, float]]

    def write(self, folder: Path) -> None:
        """Write ``metrics.json``, ``metrics.csv`` and ``report.html``, each atomically."""
        create_output_folder(folder)
        text = json.dumps(self.content, indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write_text(folder / "metrics.json", text + "\n")
        atomic_write_text(folder / "metrics.csv", self._csv_text())
        write_report(folder / "report.html", self.content, self.cases, self.history)

    def _csv_text(self) -> str:
        """CSV text with a row per image, direction, method and region."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["subject", "session", "scan", "source", "target", "method", "region", *METRICS])
        for subject in self.content["subjects"]:
            for direction, values in subject["ways"].items():
                for method, regions in values["metrics"].items():
                    for region, metrics in regions.items():
                        scan = subject.get("scan", "")
                        names = (subject["subject"], subject["session"], scan, *self.content["directions"][direction])
                        writer.writerow([*names, method, region, *(metrics[name] for name in METRICS)])
        return table.getvalue()


def create_output_folder(folder: Path) -> None:
    """Create the folder of the results, unless it is a run or model folder.

    Raises:
        ValueError: it is a run or model folder, a link in it leads outside, or it cannot be created.
    """
    if escapes(folder / "subjects" / "sources", folder):
        raise ValueError(f"--output: {folder}/subjects leads out of it. Remove that link, or give another folder.")
    for name in ("config.yaml", "model.json"):
        if (folder / name).exists():
            raise ValueError(f"--output: {folder} holds {name} of a run, which results would mix with. Give another.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "subjects").mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(f"--output: {folder} cannot be written ({error.strerror}). Give another folder.") from error


def assemble(
    *,
    title: str,
    method: str,
    contrasts: Sequence[str],
    part: str,
    plane: str,
    records: Sequence[Record],
    audits: Sequence[Audit],
    uncertainty_kind: str | None,
    warnings: Sequence[str],
    provenance: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    directions: Sequence[str] = DIRECTIONS,
    chose_epoch: Collection[str] = (),
) -> Evaluation:
    """Assemble the evaluation from the records of all subjects.

    Args:
        title: name of the experiment, or of the folder of predictions.
        method: name of the evaluated method.
        contrasts: names of contrasts a and b.
        part: evaluated part of the split.
        plane: slice plane.
        records: one per image or pair.
        audits: audits of the whole evaluation, in addition to those of each direction.
        uncertainty_kind: source of the standard deviation; None for a single output.
        warnings: shown at the top of the report.
        provenance: code, data and models behind the figures.
        history: losses and validation metrics of each epoch.
        directions: candidates; those without records are skipped.
        chose_epoch: subjects on whom the best epoch was chosen.
    """
    measured = group_by_direction(records, directions)
    names = {d.direction: [contrasts["ab".index(letter)] for letter in d.direction] for d in measured}
    summary = {results.direction: summarize(results) for results in measured}
    assessed = [audit.as_json() for results in measured for audit in assess_direction(results)]
    assessed += [audit.as_json() for audit in audits]
    subjects = [_subject(record) for record in records]
    chosen_on = sorted({subject["subject"] for subject in subjects} & set(chose_epoch))
    content = {
        "protocol_version": PROTOCOL_VERSION,
        "title": title,
        "created": datetime.now().isoformat(timespec="seconds"),
        "contrasts": dict(zip("ab", contrasts, strict=True)),
        "directions": names,
        "part": part,
        "chose_epoch": chosen_on,
        "plane": plane,
        "resampled_targets": any(record.values["pairing"] for record in records),
        "method": method,
        "methods": list(next((of_direction for of_direction in summary.values() if of_direction), {method: None})),
        "metrics": metrics_as_json(),
        "verdict": verdict(names, summary, assessed),
        "summary": summary,
        "subjects": subjects,
        "unpaired": {results.direction: compare_without_pairs(results) for results in measured},
        "audits": assessed,
        "uncertainty": summarize_uncertainty(measured, uncertainty_kind),
        "warnings": [*caveats(names, subjects, chosen_on), *warnings],
        "provenance": provenance,
    }
    return Evaluation(content, {results.direction: choose_cases(results) for results in measured}, history)


def _subject(record: Record) -> dict[str, Any]:
    kept = ("metrics", "num_scales", "tissues", "out_of_domain", "seconds")
    directions = {
        direction: {name: values[name] for name in kept if name in values}
        for direction, values in record.values["ways"].items()
    }
    names = ("subject", "session", "scan", "files", "hashes", "pairing")
    return {name: record.values[name] for name in names if name in record.values} | {"ways": directions}
