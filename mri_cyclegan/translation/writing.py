"""Translations on disk: image, sidecar, and what makes a folder of them a BIDS derivative."""

import json
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mri_cyclegan.data.atomic_folder import remove_abandoned, write_text_atomically
from mri_cyclegan.data.formats.nifti import write_image
from mri_cyclegan.data.formats.picture import write_picture
from mri_cyclegan.inference.scan_translator import Translation
from mri_cyclegan.inference.synthetic_image import (
    NOTICE,
    PACKAGE,
    as_int16,
    description_of,
    sidecar,
    spread_image,
    synthetic_image,
)
from mri_cyclegan.translation.jobs import PICTURE_OUTPUT, Job

BIDS_VERSION = "1.10.0"
DATASET_FILE = "dataset_description.json"

# Free space that is left for others.
SPARE_BYTES = 2**24


@dataclass(frozen=True)
class OutputSettings:
    """How translations are written.

    Attributes:
        value_range: see :mod:`mri_cyclegan.inference.synthetic_image`.
        as_int16: whether NIfTI files hold 16-bit integers with slope and intercept, or float32.
        link_of_sources: beginning of the sources' names in sidecars.
    """

    value_range: str = "unit"
    as_int16: bool = False
    link_of_sources: str = ""


def write_translation(translation: Translation, job: Job, settings: OutputSettings) -> None:
    """Write sidecar, spread and image, each whole or not at all; the image last, since it stands for all three.

    Raises:
        OSError: the disk is too full, or the folder cannot be written.
    """
    job.target.parent.mkdir(parents=True, exist_ok=True)
    _require_space(job.target.parent, translation.array.nbytes * (1 if translation.spread is None else 2))
    entries = sidecar(translation, settings.link_of_sources + job.place, settings.value_range)
    if job.doubt:
        entries["Doubts"] = [job.doubt, *entries["Doubts"]]
    write_text_atomically(job.sidecar, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    if job.target.name.lower().endswith(PICTURE_OUTPUT):
        if translation.spread is not None:
            write_picture(job.spread, translation.spread, description_of(translation, "SD of the output"))
        write_picture(job.target, translation.array, description_of(translation))
        return
    images = {job.target: synthetic_image(translation, settings.value_range)}
    if translation.spread is not None:
        images = {job.spread: spread_image(translation, settings.value_range), **images}
    for path, image in images.items():
        write_image(path, as_int16(image) if settings.as_int16 else image)


def existing_outputs(job: Job, with_spread: bool) -> list[Path]:
    """Files that writing a translation would replace.

    Spread and sidecar of ours without their image are what an interrupted translation left, and none of them.
    """
    if job.target.exists():
        return [job.target]
    if _is_ours(job.sidecar):
        return []
    return [path for path in (job.sidecar, *([job.spread] if with_spread else [])) if path.exists()]


def write_dataset_description(output: Path, source: Path) -> None:
    """Make a folder a BIDS derivative of a data set.

    Raises:
        ValueError: it is a data set of its own already.
    """
    path = output / DATASET_FILE
    if path.exists() and not _is_ours(path):
        raise ValueError(f"{output}: holds another data set ({DATASET_FILE}). Give another folder for the output.")
    output.mkdir(parents=True, exist_ok=True)
    content = {
        "Name": "Synthetic contrasts",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "That of the scans, and of the model: see the sidecars",
        "GeneratedBy": [{"Name": PACKAGE, "Version": version(PACKAGE), "Description": NOTICE}],
        "DatasetLinks": {"raw": Path(os.path.relpath(source, output)).as_posix()},
    }
    write_text_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def remove_interrupted(folders: set[Path]) -> None:
    """Remove what killed processes left half-written in folders of outputs."""
    for folder in folders:
        if folder.is_dir():
            remove_abandoned(folder)


def _is_ours(path: Path) -> bool:
    """Whether a JSON file says that this program made what it describes."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["GeneratedBy"][0]["Name"] == PACKAGE
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return False


def _require_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes + SPARE_BYTES:
        raise OSError(28, f"{num_bytes / 1e6:,.0f} MB are needed, but {free / 1e6:,.0f} MB are free")
