"""Find the scans to translate, their directions, and their output paths."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.dicom import series_files
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.registry import IMAGE_SUFFIXES, format_of
from mri_cyclegan.data.formats.unsupported import skipped_image_findings
from mri_cyclegan.data.layouts import LayoutSettings, is_bids, names_contrast, strip_contrast
from mri_cyclegan.data.layouts.bids import find_bids, is_bids_subject
from mri_cyclegan.data.reading import unknown_type_error
from mri_cyclegan.data.walking import is_folder, walk
from mri_cyclegan.filesystem import escapes
from mri_cyclegan.inference.names import (
    PICTURE_OUTPUT,
    is_translation,
    name_of_sidecar,
    name_of_std,
    name_of_translation,
)
from mri_cyclegan.inference.scan_direction import find_direction, require_direction

# A message is clear with this many names.
NUM_SHOWN = 8


@dataclass(frozen=True)
class Job:
    """One scan to translate.

    Attributes:
        source: file, or folder of a DICOM series.
        place: path of the scan within the user's input.
        direction: ``"ab"`` or ``"ba"``.
        target: image file to write.
        warning: why the direction may be wrong; empty if there is no doubt.
    """

    source: Path
    place: str
    direction: str
    target: Path
    warning: str = ""

    @property
    def std(self) -> Path:
        """File of the standard deviation."""
        return self.target.with_name(name_of_std(self.target.name))

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that may be written: translation, std, and the sidecars of both."""
        return (self.target, self.std, sidecar_of(self.target), sidecar_of(self.std))


def sidecar_of(image: Path) -> Path:
    """JSON file beside an image, for what does not fit into its header."""
    return image.with_name(name_of_sidecar(image.name))


@dataclass(frozen=True)
class Plan:
    """Everything to translate.

    Attributes:
        jobs: jobs, in an order that depends only on names.
        derivative_of: folder of the BIDS data set whose derivative is written; None otherwise.
        num_other_contrast: images skipped because they are not of the source contrast.
        num_synthetic: images skipped because they are translations themselves.
        findings: problems found during the search, such as unreadable folders and formats.
    """

    jobs: Sequence[Job]
    derivative_of: Path | None = None
    num_other_contrast: int = 0
    num_synthetic: int = 0
    findings: Sequence[Finding] = ()


def plan(source: Path, output: Path, contrasts: Sequence[str], direction: str | None) -> Plan:
    """Find the scans of an input and plan their outputs.

    Args:
        source: NIfTI file, picture, DICOM series folder, BIDS data set or subject, or any folder that contains these.
        output: file or folder for one scan, folder for several.
        contrasts: names of a and b.
        direction: ``"ab"`` or ``"ba"``; None takes it from each scan's path.

    Raises:
        ValueError: there are no scans, a direction is unknown, or outputs would overwrite each other or a source.
    """
    if source.name in ("", ".."):
        source = source.resolve()  # the folder's real name may contain the contrast
    if not is_folder(source) or _is_one_series(source):
        found = Plan([_job_for_scan(source, output, contrasts, direction)])
    elif output.is_file() or output.name.lower().endswith(IMAGE_SUFFIXES):
        raise ValueError(f"{output}: a file, but {source} is a folder of scans. Give a folder for the output.")
    elif is_bids(source):
        found = _plan_bids(source, output, contrasts, direction)
    else:
        found = _plan_folder(source, output, contrasts, direction)
    if found.jobs[0].target != output:
        _require_inside(output, found.jobs)
    _require_distinct_outputs(found.jobs)
    return found


def _is_one_series(source: Path) -> bool:
    """Whether a folder holds a DICOM series and no other image, subfolders included."""
    return bool(series_files(source)) and list(_images(source, [])) == [source]


def _job_for_scan(source: Path, output: Path, contrasts: Sequence[str], given: str | None) -> Job:
    if not source.exists():
        raise ValueError(f"{source} does not exist. Give a scan or a folder of scans.")
    if (found := format_of(source)) is None:
        raise unknown_type_error(source)
    named, warning = find_direction(source, contrasts), ""
    if given is not None and named not in (None, given):
        by_name, by_user = (_source_contrast(str(one), contrasts) for one in (named, given))
        warning = f"its name says {by_name}, but {by_user} is asked for"
    direction = given or require_direction(source, contrasts)
    kinds = (*NIFTI_SUFFIXES, PICTURE_OUTPUT) if found.is_picture else NIFTI_SUFFIXES
    if output.name.lower().endswith(kinds) and not output.is_dir():
        target = output
    elif output.is_dir() or not output.suffix:
        target = output / _output_name(source, direction, contrasts)
    else:
        raise ValueError(f"{output}: cannot be written. Expected a folder, or a name in {' or '.join(kinds)}.")
    return Job(source, source.name, direction, target, warning)


def _plan_bids(source: Path, output: Path, contrasts: Sequence[str], given: str | None) -> Plan:
    """Map the scans of a data set or of one subject to the same relative paths in a derivative."""
    root = source.parent if is_bids_subject(source) else source
    below = _parts_below(output, root)
    if below is not None and (not below or below[0].startswith("sub-")):
        raise ValueError(
            f"{output}: among the scans of the data set. Give another folder, such as {root}/derivatives/synth."
        )
    found, findings, _ = find_bids(source, LayoutSettings("bids", tuple(contrasts)))
    scans = [scan for scan in found if not is_translation(scan.path.name)]
    jobs = []
    for scan in scans:
        direction = "ab" if scan.contrast == contrasts[0] else "ba"
        if given in (None, direction):
            place = scan.path.relative_to(root)
            target = output / place.parent / _output_name(scan.path, direction, contrasts)
            jobs.append(Job(scan.path, place.as_posix(), direction, target))
    num_other_contrast = len(scans) - len(jobs)
    if not jobs:
        wanted = " or ".join(contrasts) if given is None else _source_contrast(given, contrasts)
        others = f", but {num_other_contrast} of the other contrast" if num_other_contrast else ""
        raise ValueError(f"{source}: no {wanted} scan in this BIDS data set{others}." + format_list(map(str, findings)))
    return Plan(jobs, root, num_other_contrast, len(found) - len(scans), findings)


def _plan_folder(source: Path, output: Path, contrasts: Sequence[str], given: str | None) -> Plan:
    """Map every scan below ``source`` to the same relative path below ``output``."""
    if output.resolve() == source.resolve():
        raise ValueError(f"{output}: the folder of the scans themselves. Give another for the output.")
    findings: list[Finding] = []
    jobs, unknown, num_other_contrast, num_synthetic = [], [], 0, 0
    for path in _images(source, findings, besides=output):
        named = find_direction(path, contrasts, source)
        if is_translation(path.name):
            num_synthetic += 1
        elif given is not None and named not in (None, given):
            num_other_contrast += 1
        elif (direction := given or named) is None:
            unknown.append(path)
        else:
            place = path.relative_to(source)
            folder = Path(*(_output_folder_name(part, direction, contrasts) for part in place.parts[:-1]))
            jobs.append(
                Job(path, place.as_posix(), direction, output / folder / _output_name(path, direction, contrasts))
            )
    if unknown:
        a, b = contrasts
        listing = format_list(str(path) for path in unknown)
        raise ValueError(
            f"{source}: names do not say whether these are {a} or {b}. "
            f"Give the direction: ab ({a} → {b}) or ba ({b} → {a}).{listing}"
        )
    if not jobs:
        raise ValueError(f"{source}: {_why_none(num_other_contrast, num_synthetic)}" + format_list(map(str, findings)))
    return Plan(jobs, None, num_other_contrast, num_synthetic, findings)


def _why_none(num_other_contrast: int, num_synthetic: int) -> str:
    if num_other_contrast or num_synthetic:
        others = f"{num_other_contrast} of the other contrast and {num_synthetic} translations"
        return f"no scan to translate in it, but {others}."
    return "no scan to translate in it. Expected NIfTI files, pictures, DICOM series or BIDS (sub-*/anat)."


def _images(source: Path, findings: list[Finding], besides: Path | None = None) -> Iterator[Path]:
    """Yield image files and DICOM series folders below a folder, except inside ``besides``; append to ``findings``."""
    closed = None if besides is None else besides.resolve()
    for folder, files in walk(source, findings):
        if closed is not None and folder.resolve().is_relative_to(closed):
            continue
        slices = set(series_files(folder))
        if slices:
            yield folder
        others = [path for path in files if path not in slices]
        findings += skipped_image_findings(others, IMAGE_SUFFIXES)
        yield from (path for path in others if path.name.lower().endswith(IMAGE_SUFFIXES))


def _parts_below(path: Path, root: Path) -> tuple[str, ...] | None:
    """Parts of a path relative to a folder; None if it is not inside."""
    path, root = path.resolve(), root.resolve()
    return path.relative_to(root).parts if path.is_relative_to(root) else None


def _source_contrast(direction: str, contrasts: Sequence[str]) -> str:
    return contrasts["ab".index(direction[0])]


def _output_name(source: Path, direction: str, contrasts: Sequence[str]) -> str:
    origin, target = (contrasts["ab".index(letter)] for letter in direction)
    return name_of_translation(source, origin, target)


def _output_folder_name(folder: str, direction: str, contrasts: Sequence[str]) -> str:
    """Target contrast if the folder is named after the source contrast, else the folder's own name."""
    origin, target = (contrasts["ab".index(letter)] for letter in direction)
    return target if names_contrast(folder, origin) and strip_contrast(folder, origin) == folder else folder


def _require_inside(output: Path, jobs: Sequence[Job]) -> None:
    """Raise if a target folder links out of ``output``: the folder and the scan names may be untrusted."""
    for folder in sorted({job.target.parent for job in jobs}):
        if escapes(folder, output):
            raise ValueError(f"{folder}: leads out of {output}. Remove that link, or give another output.")


def _require_distinct_outputs(jobs: Sequence[Job]) -> None:
    """Raise if two jobs share an output, or if an output would overwrite a source."""
    sources = {(status.st_dev, status.st_ino) for job in jobs if (status := _status(job.source))}
    places: dict[Path, str] = {}
    shared = []
    for job in jobs:
        for path in job.outputs:
            status = _status(path)
            if status is not None and (status.st_dev, status.st_ino) in sources:
                raise ValueError(f"{path}: one of the scans themselves. Give another name for the output.")
            if path in places:
                shared.append(f"{path}: from {places[path]} and {job.place}")
            places[path] = job.place
    if shared:
        raise ValueError(
            "Several scans would be written to one file. Translate them to different folders." + format_list(shared)
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # missing, or inaccessible: reading it will report why
        return None


def format_list(lines: Iterable[str]) -> str:
    """Format lines as a list to append to a message: the first few, and how many more."""
    lines = list(lines)
    more = [f"… and {len(lines) - NUM_SHOWN} more"] if len(lines) > NUM_SHOWN else []
    return "".join(f"\n- {line}" for line in [*lines[:NUM_SHOWN], *more])
