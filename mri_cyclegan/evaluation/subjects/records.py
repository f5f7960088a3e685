"""Stores the measurements of each subject on disk, so that an interrupted evaluation can resume."""

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mri_cyclegan.data.source_hash import SourceHashes
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.filesystem import atomic_write_bytes, atomic_write_text, remove_abandoned


@dataclass(frozen=True)
class Record:
    """Measurements of one subject.

    Attributes:
        values: plain JSON values.
        arrays: data too large for JSON: reduced volumes, slice features.
    """

    values: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def subject_record_key(name: str, place: bytes) -> str:
    """Unique file name of a record: the readable name and a hash of the path(s) of the subject's images.

    The name is cut to 60 characters and 180 bytes, since file systems limit a file name to 255 bytes.
    """
    safe = re.sub(r"[^\w.-]", "-", name).lstrip(".")[:60].encode()[:180].decode(errors="ignore")
    return f"{safe}-{hashlib.sha256(place).hexdigest()[:8]}"


class RecordFolder:
    """Folder with the records of one evaluation.

    Args:
        folder: created if it does not exist.
        settings: everything a record depends on; records made with other settings are ignored.

    Attributes:
        sources: cached hashes of the source files.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.settings = settings
        self.sources = SourceHashes(folder / "sources")
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)

    def find(self, key: str, sources: list[Path]) -> Record | None:
        """The stored record of a subject, or None unless it was made with the same settings from the same files."""
        try:
            values = json.loads(self._json(key).read_text(encoding="utf-8"))
            if values["fingerprint"] != self._fingerprint(sources):
                return None
            with np.load(self._npz(key), allow_pickle=False) as arrays:
                return Record(values, dict(arrays))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, BadZipFile):
            return None

    def save(self, key: str, sources: list[Path], record: Record) -> None:
        """Write a record atomically: the JSON file, written last, completes it."""
        content = io.BytesIO()
        np.savez_compressed(content, **record.arrays)  # type: ignore[arg-type]
        atomic_write_bytes(self._npz(key), content.getvalue())
        values = {"fingerprint": self._fingerprint(sources), **record.values}
        atomic_write_text(self._json(key), json.dumps(values, allow_nan=False) + "\n")

    def _json(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _npz(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _fingerprint(self, sources: list[Path]) -> str:
        files = [self.sources.of(path) for path in sources]
        shaped_by = [self.settings, list(METRICS), files]
        return hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()
