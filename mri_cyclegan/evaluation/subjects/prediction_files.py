"""Which files of two or three folders belong together."""

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from mri_cyclegan.data.findings import Finding, UnfitData
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.layouts import strip_suffix
from mri_cyclegan.data.walking import walk
from mri_cyclegan.evaluation.subjects.records import record_key
from mri_cyclegan.inference.synthetic_image import LABEL

# What translate puts into the names of its files.
LABELLED = re.compile(rf"_?desc-[A-Za-z0-9]*{LABEL}_(.*)$", re.IGNORECASE)
SPREAD = re.compile(rf"desc-[A-Za-z0-9]*{LABEL}spread_", re.IGNORECASE)


@dataclass(frozen=True)
class PredictionFiles:
    """Files of one subject.

    Attributes:
        subject: ``sub-`` of the path; without one the path itself, less its ending.
        session: ``ses-`` of a path with ``sub-``, if there is one; else empty.
        place: the prediction's path in its folder.
        prediction: the predicted volume.
        target: the true one.
        source: what it was predicted from; None where nobody gave it.
    """

    subject: str
    session: str
    place: str
    prediction: Path
    target: Path
    source: Path | None

    @property
    def name(self) -> str:
        """Subject and session."""
        return "_".join(filter(None, (self.subject, self.session)))

    @property
    def scan(self) -> str:
        """The prediction's path in its folder, less its ending."""
        return strip_suffix(self.place)

    @property
    def paths(self) -> list[Path]:
        """All files there are."""
        return [path for path in (self.prediction, self.target, self.source) if path is not None]

    @property
    def key(self) -> str:
        """Of its record."""
        return record_key(self.name, os.fsencode(self.place))


def match_files(prediction: Path, target: Path, source: Path | None) -> list[PredictionFiles]:
    """Find the target, and the source if there are any, of every prediction.

    Files belong together that have the same path below their folders, or else the same ``sub-`` and ``ses-`` in it, or
    else the same name, with or without what ``translate`` adds to it. Files of its spread are left out.

    Args:
        prediction: folder of predicted volumes.
        target: folder of the true ones.
        source: folder of what they were predicted from, or None.

    Raises:
        ValueError: a folder is none or empty.
        UnfitData: predictions without a target or source, or with one target for several; all of them by name.
    """
    predictions, targets = _files(prediction), _files(target)
    predictions = {name: path for name, path in predictions.items() if not SPREAD.search(path.name)}
    sources = {} if source is None else _files(source)
    cases, findings = [], []
    for name, path in predictions.items():
        true, origin = _partner(name, targets, is_target=True), _partner(name, sources)
        if true is None:
            findings.append(
                Finding("error", path, f"no target for it in {target}", "Add it, or remove the prediction.")
            )
        elif source is not None and origin is None:
            findings.append(Finding("error", path, f"no source for it in {source}", "Add it, or leave out --source."))
        else:
            cases.append(PredictionFiles(*_whose(name), name, path, true, origin))
    findings += _shared_targets(cases)
    if findings:
        raise UnfitData(findings, len(predictions), "Files belong together by path, by sub- and ses-, or by name.")
    return cases


def _whose(place: str) -> tuple[str, str]:
    """Subject and session of a path."""
    subject, _, session = _entities(place).partition("_")
    return subject or strip_suffix(place), session


def _shared_targets(cases: list[PredictionFiles]) -> list[Finding]:
    """Targets that several predictions would be compared with: all but one of them are someone else's."""
    sharing = defaultdict(list)
    for case in cases:
        sharing[case.target].append(case)
    return [
        Finding(
            "error",
            case.prediction,
            f"its target {target} is that of {', '.join(str(one.prediction) for one in of_target if one is not case)}",
            "Give each prediction a target of the same path, or remove all but one of them.",
        )
        for target, of_target in sharing.items()
        if len(of_target) > 1
        for case in of_target
    ]


def _files(folder: Path) -> dict[str, Path]:
    """Images below a folder by their path in it."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. Give a folder of NIfTI files or pictures.")
    suffixes = (*NIFTI_SUFFIXES, *PICTURE_SUFFIXES)
    paths = [path for _, files in walk(folder, []) for path in files if path.name.lower().endswith(suffixes)]
    if not paths:
        raise ValueError(f"{folder}: no image in it. Expected files that end in {', '.join(suffixes)}.")
    return {str(path.relative_to(folder)): path for path in sorted(paths)}


def _partner(name: str, others: dict[str, Path], is_target: bool = False) -> Path | None:
    """The one file that belongs to a prediction; a target may be told from others by its contrast."""
    if name in others:
        return others[name]
    for rule in (_entities, _stem, _before_label, *([_without_label] if is_target else [])):
        wanted = rule(name)
        found = [other for other in others if wanted and rule(other) == wanted]
        if is_target and len(found) > 1:
            found = [other for other in found if _last_word(other) == _last_word(name)]
        if len(found) == 1:
            return others[found[0]]
    return None


def _last_word(name: str) -> str:
    """The suffix of a BIDS name: its contrast."""
    return _stem(name).rpartition("_")[2]


def _entities(name: str) -> str:
    """``sub-`` and ``ses-`` of a BIDS name; empty without a subject."""
    subject, session = (re.search(pattern, name) for pattern in (r"sub-[A-Za-z0-9]+", r"ses-[A-Za-z0-9]+"))
    return "_".join(match.group() for match in (subject, session) if match) if subject else ""


def _stem(name: str) -> str:
    return strip_suffix(Path(name).name)


def _without_label(name: str) -> str:
    """``a_desc-synth_T2w`` to ``a_T2w``."""
    return LABELLED.sub(r"_\1", _stem(name))


def _before_label(name: str) -> str:
    """``a_desc-synth_T2w`` to ``a``."""
    return LABELLED.sub("", _stem(name))
