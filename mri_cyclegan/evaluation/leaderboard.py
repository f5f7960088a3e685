"""The runs of a sweep, best first."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mri_cyclegan.evaluation.comparison import read_evaluation
from mri_cyclegan.evaluation.protocol import DIRECTIONS, METRICS


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        folder: of the run.
        overrides: keys of its command line to their values, ``~`` for what was taken away.
        words: the same keys to the words of the command line as they were given, such as ``+experiment=demo``.
        metrics: such as ``ssim`` (mean of all directions), ``ssim_ab``, ``ssim_ba``, over the foreground.
        images: what it was evaluated on; only equal ones can be ranked.
    """

    folder: Path
    overrides: dict[str, str]
    words: dict[str, str]
    metrics: dict[str, float]
    images: "Images"


class Images(NamedTuple):
    """What a run was evaluated on.

    Attributes:
        part: of the data set.
        resampled_targets: whether targets were resampled.
        scans: subject, session, scan and the hashes of its files.
    """

    part: str
    resampled_targets: bool
    scans: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Leaderboard:
    """Runs in order of a metric.

    Attributes:
        entries: best first.
        metric: that they are ordered by.
        differing: keys of overrides that are not the same in all runs.
        left_out: what was found and cannot be ranked, and why.
    """

    entries: list[Entry]
    metric: str
    differing: list[str]
    left_out: list[str]

    def as_csv(self) -> str:
        """A row for each run."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        names = sorted({name for entry in self.entries for name in entry.metrics})
        writer.writerow(["rank", "run", *self.differing, *names])
        for rank, entry in enumerate(self.entries, start=1):
            overrides = [entry.overrides.get(key, "") for key in self.differing]
            writer.writerow([rank, entry.folder, *overrides, *(entry.metrics.get(name, "") for name in names)])
        return table.getvalue()


def rank_runs(root: Path, metric: str = "ssim") -> Leaderboard:
    """Read every evaluated run below a folder, and rank those that were evaluated on the same images as most.

    Args:
        root: such as the folder of a sweep.
        metric: of :data:`mri_cyclegan.evaluation.protocol.METRICS`, such as ``ssim`` for the mean of all directions,
            ``ssim_ab`` or ``ssim_ba`` for one.

    Raises:
        ValueError: the metric is unknown, or no evaluated run is there.
    """
    name = metric.removesuffix("_ab").removesuffix("_ba")
    if name not in METRICS:
        raise ValueError(f"--metric: expected one of {', '.join(METRICS)}, perhaps with _ab or _ba; got {metric!r}.")
    entries, left_out = [], []
    for config in sorted(root.rglob("config.yaml")):
        if config.parent.name == ".hydra":
            continue
        try:
            entry = _entry(config.parent)
        except ValueError as error:
            left_out.append(str(error))
            continue
        if metric in entry.metrics:
            entries.append(entry)
        else:
            left_out.append(f"{entry.folder}: no {metric}, since it was evaluated without pairs.")
    if not entries:
        reasons = "".join(f"\n- {reason}" for reason in left_out)
        raise ValueError(f"{root}: no evaluated run is below it. Give the folder of a sweep.{reasons}")
    commonest = Counter(entry.images for entry in entries).most_common(1)[0][0]
    left_out += [_unlike(entry, commonest) for entry in entries if entry.images != commonest]
    entries = [entry for entry in entries if entry.images == commonest]
    best_first = sorted(entries, key=lambda entry: entry.metrics[metric], reverse=METRICS[name].higher_is_better)
    return Leaderboard(best_first, metric, _differing(entries), left_out)


def _unlike(entry: Entry, commonest: Images) -> str:
    """Why a run cannot be ranked with the others."""
    if entry.images.part != commonest.part:
        reason = f"evaluated on {entry.images.part} subjects, most runs on {commonest.part} subjects"
    elif entry.images.resampled_targets != commonest.resampled_targets:
        reason = (
            f"evaluated {'with' if entry.images.resampled_targets else 'without'} --resample-target, unlike most runs"
        )
    else:
        reason = f"evaluated on other images ({len(entry.images.scans)}) than most runs ({len(commonest.scans)})"
    return f"{entry.folder}: {reason}."


def _entry(folder: Path) -> Entry:
    content = read_evaluation(folder / "evaluation")
    _require_its_model(folder, content["provenance"].get("model_sha256"))
    metrics: dict[str, float] = {}
    for name in METRICS:
        means = {
            way: methods[content["method"]]["foreground"][name]["mean"]
            for way, methods in content["summary"].items()
            if methods
        }
        metrics |= {f"{name}_{way}": value for way, value in means.items()}
        if means:
            metrics[name] = sum(means.values()) / len(means)
    words = {word.lstrip("+~").partition("=")[0]: word for word in _command_line(folder)}
    overrides = {key: "~" if word.startswith("~") else word.partition("=")[2] for key, word in words.items()}
    return Entry(folder, overrides, words, metrics, _images(content))


def _require_its_model(folder: Path, evaluated: Any) -> None:
    """Refuse an evaluation of another model than the folder holds now."""
    if isinstance(evaluated, list):
        raise ValueError(f"{folder}: evaluated as an ensemble with other runs. Evaluate it alone.")
    path = folder / "model" / "model.json"
    try:
        generators = json.loads(path.read_text(encoding="utf-8"))["generators"]
        hashes = {way: generators[way]["sha256"] for way in DIRECTIONS}
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read ({error!r}). Copy the run again.") from error
    if hashes != evaluated:
        raise ValueError(f"{folder}: evaluated before its model changed. Evaluate it again.")


def _images(content: Mapping[str, Any]) -> Images:
    scans = [
        (
            one["subject"],
            one["session"],
            one.get("scan", ""),
            *(f"{k}={v}" for k, v in sorted(one.get("hashes", {}).items())),
        )
        for one in content["subjects"]
    ]
    return Images(content["part"], content["resampled_targets"], tuple(sorted(scans)))


def _command_line(folder: Path) -> list[str]:
    """Words that changed the configuration, as Hydra keeps them."""
    path = folder / ".hydra" / "overrides.yaml"
    if not path.is_file():
        return []
    try:
        words = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())}). Copy the run again.") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{path}: expected a list of overrides, got {words!r}. Copy the run again.")
    return words


def _differing(entries: Sequence[Entry]) -> list[str]:
    keys = sorted({key for entry in entries for key in entry.overrides})
    return [key for key in keys if len({entry.overrides.get(key) for entry in entries}) > 1]
