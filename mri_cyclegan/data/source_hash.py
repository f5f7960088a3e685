"""Cached content hashes of scan files."""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.registry import source_files
from mri_cyclegan.data.reading import unreadable_error
from mri_cyclegan.filesystem import atomic_write_text

# A file changed more recently than this may change again within one tick of the file system's clock.
MIN_FILE_AGE_S = 2.0


class SourceHashes:
    """SHA-256 of files, cached in a folder and valid as long as the files' inode, size and times stay the same.

    The times include the inode change time, which programs cannot set back.

    Args:
        folder: folder of the cached hashes; created when needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, path: Path) -> str:
        """Hash of all files of a scan: a single file, a header and voxel pair, or a DICOM series.

        Raises:
            UnfitFile: a file cannot be read.
        """
        try:
            files = source_files(path)
            signature = [_signature(file) for file in files]
            note = self.folder / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}.json"
            remembered = _read(note)
            if remembered.get("signature") == signature:
                return remembered["sha256"]
            digest = _hash(files)
        except OSError as error:
            raise unreadable_error(path, error) from error
        newest = max((max(entry[1:3]) for entry in signature), default=0)
        if newest < time.time_ns() - MIN_FILE_AGE_S * 1e9:
            with suppress(OSError):  # caching is optional; code that needs the disk space reports it
                self.folder.mkdir(parents=True, exist_ok=True)
                atomic_write_text(note, json.dumps({"signature": signature, "sha256": digest, "path": str(path)}))
        return digest


def source_bytes(path: Path) -> int:
    """Total size of a scan's files; 0 if it cannot be determined."""
    try:
        return sum(file.stat().st_size for file in source_files(path))
    except (OSError, UnfitFile):
        return 0


def _signature(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _read(note: Path) -> dict:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
