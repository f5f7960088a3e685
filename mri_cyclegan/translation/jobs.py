"""Which scans are to be translated, in which direction, and where to."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.formats.dicom import series_files
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.layouts import find_scans, is_bids, names_contrast, strip_contrast, strip_suffix
from mri_cyclegan.data.reading import unknown_type
from mri_cyclegan.data.walking import is_folder, walk
from mri_cyclegan.inference.scan_translator import direction_of
from mri_cyclegan.inference.synthetic_image import LABEL

PICTURE_OUTPUT = ".png"

# So many names are enough to understand a message.
NUM_SHOWN = 8


@dataclass(frozen=True)
class Job:
    """One scan to translate.

    Attributes:
        source: file, or folder of a DICOM series.
        place: its path in what the user gave.
        direction: ``"ab"`` or ``"ba"``.
        target: image file to write.
        doubt: what speaks against the direction; empty if nothing does.
    """

    source: Path
    place: str
    direction: str
    target: Path
    doubt: str = ""

    @property
    def sidecar(self) -> Path:
        """File of what the image's header has no room for."""
        return self.target.with_name(strip_suffix(self.target.name) + ".json")

    @property
    def spread(self) -> Path:
        """File of the standard deviation."""
        name, num_labels = re.subn(rf"(desc-[A-Za-z0-9]*{LABEL})_", r"\1spread_", self.target.name, flags=re.IGNORECASE)
        stem = strip_suffix(name)
        return self.target.with_name(name if num_labels else f"{stem}_spread{name[len(stem) :]}")


@dataclass(frozen=True)
class Plan:
    """Everything to translate.

    Attributes:
        jobs: sorted by source.
        derivative_of: folder of the BIDS data set whose derivative is written; None otherwise.
        num_others: images left out, since they are not of the source contrast.
        findings: what could not be searched.
    """

    jobs: Sequence[Job]
    derivative_of: Path | None = None
    num_others: int = 0
    findings: Sequence[Finding] = ()


def plan(source: Path, output: Path, contrasts: Sequence[str], direction: str | None) -> Plan:
    """Find the scans of an input.

    Args:
        source: NIfTI file, picture, folder of a DICOM series, BIDS data set or subject, or any folder with such in it.
        output: file for one scan, folder for several.
        contrasts: names of a and b.
        direction: ``"ab"`` or ``"ba"``; None takes it from each scan's path.

    Raises:
        ValueError: nothing is there, nothing tells a direction, or outputs would fall on each other or on a source.
    """
    if not is_folder(source) or series_files(source):
        found = Plan([_single(source, output, contrasts, direction)])
    elif output.is_file() or output.name.lower().endswith((*NIFTI_SUFFIXES, *PICTURE_SUFFIXES)):
        raise ValueError(f"{output}: a file, but {source} is a folder of scans. Give a folder for the output.")
    elif is_bids(source):
        found = _bids(source, output, contrasts, direction)
    else:
        found = _folder(source, output, contrasts, direction)
    _require_places(found.jobs)
    return found


def _single(source: Path, output: Path, contrasts: Sequence[str], direction: str | None) -> Job:
    is_picture = source.name.lower().endswith(PICTURE_SUFFIXES)
    if not source.exists():
        raise ValueError(f"{source} does not exist. Give a scan or a folder of scans.")
    if not source.is_dir() and not source.name.lower().endswith((*NIFTI_SUFFIXES, *PICTURE_SUFFIXES)):
        raise unknown_type(source)
    named = _direction_or_none(source, contrasts, None)
    doubt = ""
    if direction is not None and named is not None and named != direction:
        doubt = f"its name says {_origin(named, contrasts)}, but {_origin(direction, contrasts)} is asked for"
    way = direction or direction_of(source, contrasts)
    name = output.name.lower()
    if name.endswith(NIFTI_SUFFIXES) or (is_picture and name.endswith(PICTURE_OUTPUT)):
        target = output
    elif output.is_dir() or not output.suffix:
        target = output / _name(source, way, contrasts)
    else:
        kinds = (*NIFTI_SUFFIXES, PICTURE_OUTPUT) if is_picture else NIFTI_SUFFIXES
        raise ValueError(f"{output}: cannot be written. Expected a folder, or a name in {' or '.join(kinds)}.")
    return Job(source, source.name, way, target, doubt)


def _bids(source: Path, output: Path, contrasts: Sequence[str], direction: str | None) -> Plan:
    """Scans of a data set, or of one subject, to the same places in a derivative."""
    root = source.parent if source.name.startswith("sub-") else source
    scans, findings = find_scans("bids", source, list(contrasts))
    jobs = []
    for scan in scans:
        way = "ab" if scan.contrast == contrasts[0] else "ba"
        if direction in (None, way):
            place = scan.path.relative_to(root)
            target = output / place.parent / _name(scan.path, way, contrasts)
            jobs.append(Job(scan.path, place.as_posix(), way, target))
    if not jobs:
        wanted = " or ".join(contrasts) if direction is None else _origin(direction, contrasts)
        raise ValueError(f"{source}: no {wanted} scan in this BIDS data set." + listed(map(str, findings)))
    return Plan(jobs, root, len(scans) - len(jobs), findings)


def _folder(source: Path, output: Path, contrasts: Sequence[str], direction: str | None) -> Plan:
    """Every scan below a folder, to the same place below another."""
    if output.absolute() == source.absolute():
        raise ValueError(f"{output}: the folder of the scans themselves. Give another for the output.")
    findings: list[Finding] = []
    jobs, unknown, num_others = [], [], 0
    for path in _images(source, output, findings):
        named = _direction_or_none(path, contrasts, source)
        if direction is not None and named not in (None, direction):
            num_others += 1
        elif (way := direction or named) is None:
            unknown.append(path)
        else:
            place = path.relative_to(source)
            folder = Path(*(_renamed(part, way, contrasts) for part in place.parts[:-1]))
            jobs.append(Job(path, place.as_posix(), way, output / folder / _name(path, way, contrasts)))
    if unknown:
        a, b = contrasts
        listing = listed(str(path) for path in unknown)
        raise ValueError(
            f"{source}: no name tells whether these are {a} or {b}. "
            f"Give the direction: ab ({a} → {b}) or ba ({b} → {a}).{listing}"
        )
    if not jobs:
        raise ValueError(
            f"{source}: no scan to translate in it. Expected NIfTI files, pictures, DICOM series or BIDS (sub-*/anat)."
            + listed(map(str, findings))
        )
    return Plan(jobs, None, num_others, findings)


def _images(source: Path, output: Path, findings: list[Finding]) -> Iterator[Path]:
    """Image files and folders of DICOM series below a folder, but for what lies in the output."""
    for folder, files in walk(source, findings):
        if folder.absolute().is_relative_to(output.absolute()):
            continue
        if series_files(folder):
            yield folder
        else:
            yield from (path for path in files if path.name.lower().endswith((*NIFTI_SUFFIXES, *PICTURE_SUFFIXES)))


def _direction_or_none(path: Path, contrasts: Sequence[str], root: Path | None) -> str | None:
    try:
        return direction_of(path, contrasts, root)
    except ValueError:
        return None


def _origin(direction: str, contrasts: Sequence[str]) -> str:
    return contrasts["ab".index(direction[0])]


def _name(source: Path, direction: str, contrasts: Sequence[str]) -> str:
    """File name of a translation, in the manner of BIDS: ``sub-07_T1w.nii.gz`` to ``sub-07_desc-synth_T2w.nii.gz``."""
    origin, target = (contrasts["ab".index(letter)] for letter in direction)
    stem = strip_suffix(source.name)
    suffix = source.name[len(stem) :].lower()
    suffix = ".nii.gz" if source.is_dir() else PICTURE_OUTPUT if suffix in PICTURE_SUFFIXES else suffix
    words = strip_contrast(stem, origin)
    if words == stem and names_contrast(stem, origin):
        words = ""  # the name is the contrast
    described = re.fullmatch(r"(.*)_desc-([A-Za-z0-9]+)", words)
    if described:  # an entity stands only once in a name
        words, label = described[1], described[2] + LABEL.capitalize()
    else:
        label = LABEL
    return "_".join(filter(None, (words, f"desc-{label}", target))) + suffix


def _renamed(folder: str, direction: str, contrasts: Sequence[str]) -> str:
    """A folder's name, with the target contrast in place of the source's."""
    origin, target = (contrasts["ab".index(letter)] for letter in direction)
    return target if names_contrast(folder, origin) and strip_contrast(folder, origin) == folder else folder


def _require_places(jobs: Sequence[Job]) -> None:
    """Refuse outputs that would fall on each other, or on a source."""
    sources: dict[Path, list[str]] = defaultdict(list)
    for job in jobs:
        if job.target.exists() and job.target.samefile(job.source):
            raise ValueError(f"{job.target}: the scan itself. Give another name for the output.")
        sources[job.target].append(job.place)
    shared = [f"{target}: from {' and '.join(places)}" for target, places in sources.items() if len(places) > 1]
    if shared:
        raise ValueError(
            "Several scans would be written to one file. Translate them to different folders." + listed(shared)
        )


def listed(lines: Iterable[str]) -> str:
    """The first of some lines, below a sentence."""
    lines = list(lines)
    more = [f"… and {len(lines) - NUM_SHOWN} more"] if len(lines) > NUM_SHOWN else []
    return "".join(f"\n- {line}" for line in [*lines[:NUM_SHOWN], *more])
