"""Messages for faults outside the program: full disks, lost files and processes, too little memory."""

import errno
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mri_cyclegan.filesystem import free_bytes

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)

# A disk with less free space counts as full.
FULL_BYTES = 20_000_000

_FROM_WORKER = re.compile(r"Caught \S+ in DataLoader worker process .*\n\S+: (?P<message>.*)\Z", re.DOTALL)
_LOST_WORKER = re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)")
_SHARED_MEMORY = re.compile(r"unable to (allocate|open|mmap|resize).*shm|shared memory|Bus error", re.IGNORECASE)


def explain(error: BaseException, folders: Mapping[str, Path]) -> str | None:
    """What failed and what to do, if the error is a user's mistake or a machine fault.

    Args:
        error: exception that ended a command.
        folders: folders that the command writes to, by configuration key.

    Returns:
        One message; None if only a developer could fix the error.
    """
    if isinstance(error, ValueError):
        return strip_worker_traceback(str(error))
    # When a worker process is lost, its broken connection may be noticed first.
    if _LOST_WORKER.search(str(error)) or isinstance(error, ConnectionResetError | ConnectionRefusedError | EOFError):
        return _shared_memory(error) or (
            "A loader process was killed, most likely by the system because memory ran out. Lower data.num_workers "
            "(0 loads in the main process) or data.batch_size."
        )
    if isinstance(error, OSError):
        return _of_files(error, folders)
    if isinstance(error, MemoryError):
        return f"Memory is full ({error}). Lower data.num_workers, data.num_processes or data.batch_size."
    return _shared_memory(error)


def _shared_memory(error: BaseException) -> str | None:
    if not _SHARED_MEMORY.search(str(error)):
        return None
    return (
        "Loader processes hand slices over in shared memory, and there is too little of it. Enlarge /dev/shm "
        "(docker run --shm-size=2g), or set data.num_workers=0."
    )


def strip_worker_traceback(message: str) -> str:
    """The original error message, without the loader worker's traceback that torch adds to it."""
    found = _FROM_WORKER.match(message)
    return found["message"].strip() if found else message


def _of_files(error: OSError, folders: Mapping[str, Path]) -> str:
    reason = error.strerror or strip_worker_traceback(str(error))
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    if error.errno in NO_ROOM:
        full = [f"{key} ({folder})" for key, folder in folders.items() if free_bytes(folder) < FULL_BYTES]
        if free_bytes(Path(tempfile.gettempdir())) < FULL_BYTES:
            full.append(f"the folder of temporary files ({tempfile.gettempdir()}, TMPDIR)")
        keys = ", ".join(full or folders)
        return f"{place}{reason}. Make room on the disk of {keys}, or choose another one."
    if error.errno in NOT_ALLOWED:
        return f"{place}{reason}. Give folders that can be written: {', '.join(folders)}."
    return f"{place}{reason}."
