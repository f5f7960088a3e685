"""Matches predictions with their targets and sources by file name."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from mri_cyclegan.data.findings import Finding, UnfitData
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.formats.registry import IMAGE_SUFFIXES
from mri_cyclegan.data.layouts import names_contrast, strip_contrast, strip_suffix
from mri_cyclegan.data.layouts.subjects import Place, assign_subjects
from mri_cyclegan.data.walking import walk
from mri_cyclegan.evaluation.subjects.own_translations import is_std_map, sidecar_source
from mri_cyclegan.evaluation.subjects.records import subject_record_key
from mri_cyclegan.inference.names import PICTURE_OUTPUT, contrast_of_translation, ground_truth_stems


@dataclass(frozen=True)
class PredictionFiles:
    """A prediction with its target and source.

    Attributes:
        subject: ``sub-`` of the path, or the subject in a picture's name; else the path without suffix.
        session: ``ses-`` of a path that has ``sub-``; else empty.
        place: the prediction's path relative to its folder.
        prediction: the predicted volume.
        target: the true volume.
        source: the source volume; None if there is no folder of sources.
    """

    subject: str
    session: str
    place: str
    prediction: Path
    target: Path
    source: Path | None

    @property
    def name(self) -> str:
        """Subject and session, joined by an underscore."""
        return "_".join(filter(None, (self.subject, self.session)))

    @property
    def scan(self) -> str:
        """The prediction's relative path without suffix."""
        return strip_suffix(self.place)

    @property
    def paths(self) -> list[Path]:
        """All files of the case."""
        return [path for path in (self.prediction, self.target, self.source) if path is not None]

    @property
    def key(self) -> str:
        """Key of the case's record."""
        return subject_record_key(self.name, os.fsencode(self.place))


def match_files(prediction: Path, target: Path, source: Path | None) -> list[PredictionFiles]:
    """Find the target, and the source if given, of every prediction.

    Files match by the same relative path; else by the same name apart from the contrast; else by the same ``sub-`` and
    ``ses-`` (if no other entity differs). A name given by ``translate`` contains the contrast, which a target must and
    a source must not have; its sidecar names the source scan. Std maps of ``translate`` and files in ``derivatives``
    are skipped.

    Args:
        prediction: folder of predicted volumes.
        target: folder of the true volumes.
        source: folder of the source volumes, or None.

    Raises:
        ValueError: a folder does not exist or has no image.
        UnfitData: predictions without a target or source, or that share a target; lists each of them.
    """
    predictions = {name: path for name, path in _files(prediction).items() if not is_std_map(path)}
    targets = _files(target, besides=prediction)
    sources = {} if source is None else _files(source, besides=prediction)
    cases, findings = [], []
    for name, path in predictions.items():
        true = _match(name, targets, is_target=True)
        origin = sources.get(sidecar_source(path) or "") or _match(name, sources, is_target=False)
        if true is None:
            findings.append(
                Finding("error", path, f"no target for it in {target}", "Add it, or remove the prediction.")
            )
        elif source is not None and origin is None:
            findings.append(Finding("error", path, f"no source for it in {source}", "Add it, or leave out --source."))
        else:
            cases.append(PredictionFiles(*_subject_and_session(name), name, path, true, origin))
    findings += _shared_targets(cases)
    if findings:
        raise UnfitData(findings, len(predictions), "Files belong together by path, by sub- and ses-, or by name.")
    return _identify_picture_subjects(cases)


def _identify_picture_subjects(cases: Sequence[PredictionFiles]) -> list[PredictionFiles]:
    """Set the subject of pictures from their names, as in training, so that slices of one head count as one subject."""
    contrasts = {contrast for case in cases if (contrast := contrast_of_translation(case.place))} or {"T1w", "T2w"}
    places = [Place("", PurePath(f"{case.subject}{PICTURE_OUTPUT}"), is_picture=True) for case in cases]
    found = assign_subjects(places, sorted(contrasts), None, None).identities
    return [
        replace(case, subject=who.subject, session=who.session)
        if who.is_known and not _entities(case.place) and case.place.lower().endswith(PICTURE_SUFFIXES)
        else case
        for case, who in zip(cases, found, strict=True)
    ]


def _subject_and_session(place: str) -> tuple[str, str]:
    """Subject and session from a relative path."""
    subject, _, session = _entities(place).partition("_")
    return subject or ground_truth_stems(place)[1] or strip_suffix(place), session


def _shared_targets(cases: list[PredictionFiles]) -> list[Finding]:
    """Findings for predictions that share a target: at most one of them can be the right match."""
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


def _files(folder: Path, besides: Path | None = None) -> dict[str, Path]:
    """Relative path to image for the images below a folder, without ``derivatives`` and the folder ``besides``."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. Give a folder of NIfTI files or pictures.")
    left_out = besides.resolve() if besides and besides.resolve() != folder.resolve() else None
    paths = [
        path
        for _, files in walk(folder, [], lambda parts: parts[0] != "derivatives")
        for path in files
        if path.name.lower().endswith(IMAGE_SUFFIXES) and not (left_out and path.resolve().is_relative_to(left_out))
    ]
    if not paths:
        raise ValueError(f"{folder}: no image in it. Expected files that end in {', '.join(IMAGE_SUFFIXES)}.")
    return {str(path.relative_to(folder)): path for path in sorted(paths)}


def _match(name: str, others: dict[str, Path], is_target: bool) -> Path | None:
    """The only file that matches a prediction, or None if none or several do."""
    if name in others:
        return others[name]
    contrast = contrast_of_translation(name)
    others = {other: path for other, path in others.items() if _may_be(other, contrast, is_target)}
    if contrast is not None:
        stems = ground_truth_stems(Path(name).name)  # with and without contrast: the folder may name it
        named = [{other for other in others if _stem(other) == stem} for stem in stems]
        named.append({other for other in others if strip_contrast(_stem(other), contrast) == stems[1]})
    else:
        named = [{other for other in others if _stem(other) == _stem(name)}]
    for names in named:
        found = [others[other] for other in names if not _entities_conflict(name, other)]
        if len(found) == 1:
            return found[0]
    whose = _entities(name)
    found = [
        path
        for other, path in others.items()
        if whose and _entities(other) == whose and not _entities_conflict(name, other)
    ]
    return found[0] if len(found) == 1 else None


def _may_be(other: str, contrast: str | None, is_target: bool) -> bool:
    """Whether a file's name allows it as a target (of this contrast) or as a source (of another contrast)."""
    if contrast is None:
        return True
    if names_contrast(_stem(other), contrast):
        return is_target
    suffix = _stem(other).rpartition("_")[2]
    says_another = "_" in _stem(other) and "-" not in suffix and not suffix.isdigit()  # unlike IXI001_042.png
    return not (is_target and says_another)


def _entities_conflict(name: str, other: str) -> bool:
    """Whether a common entity of two BIDS names has different values, ``desc-`` aside."""
    first, second = (dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)", _stem(one))) for one in (name, other))
    return any(first[key] != second[key] for key in first.keys() & second.keys() - {"desc"})


def _entities(name: str) -> str:
    """``sub-`` and ``ses-`` of a BIDS name, joined by an underscore; empty without ``sub-``."""
    subject, session = (re.search(pattern, name) for pattern in (r"sub-[A-Za-z0-9]+", r"ses-[A-Za-z0-9]+"))
    return "_".join(match.group() for match in (subject, session) if match) if subject else ""


def _stem(name: str) -> str:
    return strip_suffix(Path(name).name)
