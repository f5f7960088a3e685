"""What a source file holds, in a hash that is remembered."""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.registry import source_files
from mri_cyclegan.data.reading import unreadable
from mri_cyclegan.filesystem import atomic_write_text

# A file changed so recently may change again within one tick of the file system's clock.
SETTLED_S = 2.0


class SourceHashes:
    """SHA-256 of files, remembered in a folder as long as the files' size and times stay the same.

    The time of the inode's last change is among these, which no program can set back.

    Args:
        folder: made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, path: Path) -> str:
        """Hash of a file, or of all files of a scan that has several: header and voxels, or a DICOM series.

        Raises:
            UnfitFile: it cannot be read.
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
            raise unreadable(path, error) from error
        newest = max((max(entry[1:3]) for entry in signature), default=0)
        if newest < time.time_ns() - SETTLED_S * 1e9:
            with suppress(OSError):  # to remember is a convenience; who needs room on that disk says so
                self.folder.mkdir(parents=True, exist_ok=True)
                atomic_write_text(note, json.dumps({"signature": signature, "sha256": digest, "path": str(path)}))
        return digest


def source_bytes(path: Path) -> int:
    """Size of all files of a scan; 0 if it cannot be told."""
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
