"""Write translations: images, sidecars, and the data set description of a BIDS derivative."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel

from mri_cyclegan.data.formats.picture import write_picture
from mri_cyclegan.filesystem import atomic_file, atomic_write_bytes
from mri_cyclegan.inference.jobs import Job, sidecar_of
from mri_cyclegan.inference.names import PICTURE_OUTPUT
from mri_cyclegan.inference.scan_translator import ScanTranslator, Translation
from mri_cyclegan.inference.sidecars import inherited_entries, is_generated, is_generated_file, read_json
from mri_cyclegan.inference.synthetic_image import (
    NOTICE,
    PACKAGE,
    as_int16,
    header_description,
    sidecar,
    std_image,
    synthetic_image,
    translation_settings,
)

BIDS_VERSION = "1.10.0"
DATASET_FILE = "dataset_description.json"

# Prefix of the std file's description.
STD_DESCRIPTION = "Standard deviation of the output"

# Disk space left free for other programs.
RESERVED_BYTES = 2**24

Write = Callable[[Path], Any]


@dataclass(frozen=True)
class OutputSettings:
    """How translations are written.

    Attributes:
        value_range: see :mod:`mri_cyclegan.inference.synthetic_image`.
        as_int16: whether to write NIfTI files as 16-bit integers with slope and intercept instead of float32.
        is_bids: whether the output is a BIDS derivative.
        overwrite: whether to replace existing files.
    """

    value_range: str = "unit"
    as_int16: bool = False
    is_bids: bool = False
    overwrite: bool = False


def write_translation(translation: Translation, job: Job, settings: OutputSettings) -> None:
    """Write image, std and sidecars.

    Each file is written atomically. The image appears last, once all are on disk: if it exists, so do its other files.

    Raises:
        OSError: the disk is too full, the folder is not writable, or another process wrote one of the files meanwhile.
    """
    folder = job.target.parent
    folder.mkdir(parents=True, exist_ok=True)
    _require_space(folder, translation.array.nbytes * (1 if translation.std is None else 2))
    with ExitStack() as exit_stack:
        for path, write in _files(translation, job, settings).items():
            write(exit_stack.enter_context(atomic_file(path)))
        _remove_replaced(translation, job, settings)


def _files(translation: Translation, job: Job, settings: OutputSettings) -> dict[Path, Write]:
    """Map each file to the function that writes it, the image first."""
    entries = _sidecar_entries(translation, job, settings)
    files: dict[Path, Write] = {job.target: _writer(translation, job, settings, is_std=False)}
    if translation.std is not None:
        files[job.std] = _writer(translation, job, settings, is_std=True)
        std_entries = {**entries, "Description": f"{STD_DESCRIPTION}: {entries['Description']}"}
        files[sidecar_of(job.std)] = partial(Path.write_bytes, data=_as_json(std_entries))
    files[sidecar_of(job.target)] = partial(Path.write_bytes, data=_as_json(entries))
    return files


def _writer(translation: Translation, job: Job, settings: OutputSettings, is_std: bool) -> Write:
    if job.target.name.lower().endswith(PICTURE_OUTPUT):
        if translation.std is not None and is_std:
            description = header_description(translation, "SD of the output")
            return partial(write_picture, array=translation.std, description=description)
        return partial(write_picture, array=translation.array, description=header_description(translation))
    image = (std_image if is_std else synthetic_image)(translation, settings.value_range)
    return partial(nibabel.save, as_int16(image) if settings.as_int16 else image)


def _sidecar_entries(translation: Translation, job: Job, settings: OutputSettings) -> dict[str, Any]:
    """Entries of the sidecar."""
    entries = sidecar(translation, ("bids:raw:" if settings.is_bids else "") + job.place, settings.value_range)
    if job.warning:
        entries["Doubts"] = [job.warning, *entries["Doubts"]]
    if settings.is_bids:
        entries["SpatialReference"] = entries["Sources"][0]
        # BIDS asks for it. Acquired scans are not skull-stripped, and a stripped one should say so in its sidecar.
        root = job.source.parents[job.place.count("/")]
        entries["SkullStripped"] = inherited_entries(job.source, root).get("SkullStripped") is True
    return entries


def _remove_replaced(translation: Translation, job: Job, settings: OutputSettings) -> None:
    """Remove the files to be replaced, image first, so that an old image never has a new sidecar."""
    existing = existing_outputs(job, translation.std is not None)
    if existing and not settings.overwrite:
        raise FileExistsError(errno.EEXIST, f"{existing[0].name} appeared meanwhile")
    job.target.unlink(missing_ok=True)
    if translation.std is None and is_generated_file(sidecar_of(job.std)):
        job.std.unlink(missing_ok=True)
        sidecar_of(job.std).unlink(missing_ok=True)


def existing_outputs(job: Job, with_std: bool) -> list[Path]:
    """Existing files that writing a translation would replace.

    Std files and sidecars of this program without their image do not count: an interrupted translation left them.
    """
    if job.target.exists():
        return [job.target]
    images = (job.target, job.std) if with_std else (job.target,)
    others = [
        path for image in images if not is_generated_file(sidecar_of(image)) for path in (image, sidecar_of(image))
    ]
    return [path for path in others if path.exists()]


def settings_differ(job: Job, translator: ScanTranslator, value_range: str) -> bool:
    """Whether an existing translation was made by another model or with other settings."""
    entries = read_json(sidecar_of(job.target))
    wanted = translation_settings(translator.descriptions, job.direction, translator.num_outputs, value_range)
    return is_generated(entries) and any(entries.get(key) != value for key, value in wanted.items())


def write_dataset_description(output: Path, source: Path) -> None:
    """Write the file that makes ``output`` a BIDS derivative of the data set ``source``.

    Raises:
        ValueError: the folder already is another data set.
    """
    path = output / DATASET_FILE
    if path.exists() and not is_generated_file(path):
        raise ValueError(f"{output}: holds another data set ({DATASET_FILE}). Give another folder for the output.")
    output.mkdir(parents=True, exist_ok=True)
    content = {
        "Name": "Synthetic contrasts",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "That of the scans, and of the model: see the sidecars",
        "GeneratedBy": [{"Name": PACKAGE, "Version": version(PACKAGE), "Description": NOTICE}],
        "DatasetLinks": {"raw": Path(os.path.relpath(source.resolve(), output.resolve())).as_posix()},
    }
    atomic_write_bytes(path, _as_json(content))


def _as_json(content: dict[str, Any]) -> bytes:
    # File names need not be UTF-8; other bytes become JSON escapes.
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _require_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes + RESERVED_BYTES:
        needed = f"{num_bytes / 1e6:,.0f} MB are needed, and {RESERVED_BYTES / 1e6:.0f} MB are left to others"
        raise OSError(errno.ENOSPC, f"{needed}, but {free / 1e6:,.0f} MB are free")
