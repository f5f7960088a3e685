"""Reading ``model.json``, and safe access to the files of a model's folder."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mri_cyclegan.filesystem import escapes
from mri_cyclegan.inference.description import FILE_NAME, FORMAT_VERSION, ModelDescription
from mri_cyclegan.text import terminal_safe

MAX_FILE_BYTES = 2**22


class _Version(BaseModel):
    format_version: Any = None


def read_description(folder: Path) -> ModelDescription:
    """Read and check ``model.json``.

    Raises:
        ValueError: the file is missing or unreadable, has another format version, or has an invalid entry.
    """
    path = folder / FILE_NAME
    try:
        text = safe_path(folder, FILE_NAME).read_bytes()
        version = _Version.model_validate_json(text).format_version
    except (OSError, ValidationError) as error:
        reason = _first_problem(error) if isinstance(error, ValidationError) else error
        raise ValueError(
            f"{folder}: no readable {FILE_NAME} ({reason}). Give the folder of a finished run, or its model/ folder."
        ) from error
    if version != FORMAT_VERSION:
        newer = type(version) is int and version > FORMAT_VERSION
        remedy = "Update mri-cyclegan." if newer else "Use the version of mri-cyclegan that wrote it, or train again."
        raise ValueError(f"{path}: model format {version!r}; this version reads {FORMAT_VERSION}. {remedy}")
    try:
        return ModelDescription.model_validate_json(text)
    except ValidationError as error:
        problem = _first_problem(error)
        raise ValueError(f"{path}: not as it was saved ({problem}). Copy the folder again, or train again.") from error


def _first_problem(error: ValidationError) -> str:
    """Location and reason of the first validation error, in one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    value = "" if first["type"] in ("missing", "value_error", "json_invalid") else f", got {str(first['input'])[:60]!r}"
    more = f"; {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return terminal_safe(f"{place or 'content'}: {first['msg'].removeprefix('Value error, ')}{value}{more}")


def safe_path(folder: Path, name: str, max_bytes: int = MAX_FILE_BYTES) -> Path:
    """Path of a file in the model's folder, after checking that it is safe to read.

    Raises:
        ValueError: it links out of the folder, is not a regular file, or is too large.
        OSError: it is missing or inaccessible.
    """
    path = folder / name
    if escapes(path, folder):
        raise ValueError(f"{path}: a link out of the model's folder, to {path.resolve()}. Copy the file itself.")
    status = path.stat()
    if not path.is_file():
        raise ValueError(f"{path}: no plain file. Copy the folder again.")
    if status.st_size > max_bytes:
        raise ValueError(f"{path}: {status.st_size:,} bytes, at most {max_bytes:,} expected. Copy the folder again.")
    return path
