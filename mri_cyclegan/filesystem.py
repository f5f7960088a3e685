"""Atomic files and folders, free disk space, and links that lead out of a folder."""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".partial-"
_OF_FILE = re.compile(rf"{re.escape(PREFIX)}\d+-(.+)")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill, which becomes ``folder`` when the block ends without an error.

    If another process made ``folder`` meanwhile, its copy stays: both come from the same settings.

    Args:
        folder: must not exist; its parents are created.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, lock = _locked_folder(folder.parent)
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp makes folders that only their owner can read
        for path in (*partial.rglob("*"), partial):
            _sync(path)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        _sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Remove partial files and folders that killed processes left in ``parent``, not those still being written.

    Args:
        parent: a folder that only this package writes to.
    """
    for partial in parent.glob(f"{PREFIX}*"):
        _remove_if_abandoned(partial)


def _remove_if_abandoned(partial: Path) -> None:
    try:
        lock = os.open(partial, os.O_RDONLY)
    except OSError:
        return
    try:
        _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
    except OSError:  # its owner is alive, or the file system has no locks
        pass
    finally:
        os.close(lock)


def atomic_write_text(path: Path, text: str) -> None:
    r"""Write a small file that can be made again: atomically, but not forced to disk at once.

    File names in the text need not be UTF-8: other bytes become an escape, such as ``\udce9``.
    """
    atomic_write_bytes(path, text.encode("utf-8", "backslashreplace"))


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Like :func:`atomic_write_text`, for bytes."""
    with atomic_file(path, sync=False) as partial:
        partial.write_bytes(content)


@contextmanager
def atomic_file(path: Path, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary file to write, which replaces ``path`` when the block ends without an error.

    Args:
        path: in an existing folder.
        sync: whether to force the file to disk before it replaces ``path``.
    """
    partial = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    lock = _locked_file(partial)
    try:
        yield partial
        if sync:
            _sync(partial)
        partial.replace(path)
        if sync:
            _sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)


def remove_abandoned_files(paths: Iterable[Path]) -> None:
    """Remove partial versions of the given files that killed processes left, and nothing else beside them."""
    names = defaultdict(set)
    for path in paths:
        names[path.parent].add(path.name)
    for folder, of_folder in names.items():
        for partial in folder.glob(f"{PREFIX}*") if folder.is_dir() else ():
            found = _OF_FILE.fullmatch(partial.name)
            if found and found[1] in of_folder and partial.is_file():
                _remove_if_abandoned(partial)


def _locked_file(path: Path) -> int:
    """Create a file, locked for the lifetime of this process, so that no other process removes it as abandoned."""
    while True:
        # Do not follow a link: the folder's creator could use it to redirect the write.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        _lock(file, fcntl.LOCK_EX)
        if path.exists():
            return file
        os.close(file)  # another process removed it before it was locked


def _lock(file: int, kind: int) -> None:
    """Lock if supported (some cluster file systems have no locks); otherwise never treat partial files as abandoned."""
    try:
        fcntl.flock(file, kind)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise
        if kind & fcntl.LOCK_NB:
            raise BlockingIOError(errno.EWOULDBLOCK, "the file system has no locks") from error


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Create a folder, locked for the lifetime of this process, so that no other process removes it as abandoned."""
    while True:
        partial = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(partial, os.O_RDONLY)
            _lock(lock, fcntl.LOCK_EX)
        except FileNotFoundError:
            continue
        if partial.is_dir():
            return partial, lock
        os.close(lock)  # another process removed it before it was locked


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(folder: Path) -> int:
    """Free space on the disk that a folder is on, or will be on once it is created."""
    existing = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())
    return shutil.disk_usage(existing).free


def require_writable(folder: Path, key: str) -> None:
    """Create a folder, and check that files can be written to it.

    Raises:
        ValueError: the folder cannot be written; the message names the configuration key.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
    except OSError as error:
        raise ValueError(
            f"{key}: {folder} cannot be written ({error.strerror or error}). Give another folder, or make room."
        ) from error


def escapes(path: Path, folder: Path) -> bool:
    """Whether a path resolves outside a folder, symbolic links followed; the path need not exist yet."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
