"""The folder of a run: whether it holds a run, and which process has locked it."""

from __future__ import annotations

import fcntl
import json
import os
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TextIO

from mri_cyclegan.filesystem import escapes, require_writable

if TYPE_CHECKING:
    from mri_cyclegan.data.splits.split import Split

# At least one exists once something was trained; a start that never saved a checkpoint leaves none.
RESULTS = ("checkpoints/*.ckpt", "metrics.csv", "model/model.json", "summary.json")
LOCK = ".lock"

# In the folder of a failed run: the message, then the traceback and the configuration.
ERROR = "error.txt"


def holds_run(folder: Path) -> bool:
    """Whether a folder holds results of a training, which a new start must not touch."""
    return any(next(folder.glob(pattern), None) is not None for pattern in RESULTS)


def is_free(folder: Path) -> bool:
    """Whether a folder holds no run and no training is running in it."""
    if holds_run(folder):
        return False
    try:
        with (folder / LOCK).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def lock_run_folder(run_dir: Path, resume: bool) -> TextIO:
    """Lock a run folder for this process.

    Args:
        run_dir: run folder.
        resume: whether the folder may hold a run.

    Returns:
        A lock file; while it is open, no other training may start in the folder.

    Raises:
        ValueError: the folder already holds a run, another training is running in it, or it cannot be written.
    """
    require_writable(run_dir, "run_dir")
    for name in ("checkpoints", "samples", "tensorboard", "model", "evaluation", LOCK):
        if escapes(run_dir / name, run_dir):
            raise ValueError(f"run_dir: {run_dir / name} leads out of it. Remove that link, or give another run_dir.")
    lock = _lock(run_dir, resume)
    if holds_run(run_dir) and not resume:
        lock.close()
        raise ValueError(f"run_dir: {run_dir} holds a run already. Give another run_dir, or resume it: resume=auto.")
    return lock


def _lock(run_dir: Path, resume: bool) -> TextIO:
    path = run_dir / LOCK
    try:
        number, is_new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), True
    except FileExistsError:
        number, is_new = os.open(path, os.O_RDWR | os.O_NOFOLLOW), False
    file = os.fdopen(number, "r+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ValueError(f"run_dir: another training is at work in {run_dir}. Give another run_dir.") from error
    except OSError as error:  # the file system has no locks, so an earlier start may still be running
        if not is_new and not resume:
            file.close()
            raise ValueError(
                f"run_dir: a training was started in {run_dir} and may be at work. Give another run_dir, or "
                "resume=auto if it has ended."
            ) from error
    return file


def create_unique_folder(folder: Path, key: str) -> Path:
    """Create a new folder; several starts at the same moment each get their own.

    Args:
        folder: named by the time, to the second; later starts in that second get ``…_2``, ``…_3``.
        key: configuration key that names the folder.

    Raises:
        ValueError: the folder cannot be created; the message names the key.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            claimed = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
            try:
                claimed.mkdir()
            except FileExistsError:
                continue
            return claimed
    except OSError as error:
        raise ValueError(f"{key}: {folder} cannot be made ({error.strerror}). Give another folder.") from error
    raise AssertionError


def require_same_subjects(run_dir: Path, split: Split, scans_root: Path) -> None:
    """Refuse to resume with other subjects than before.

    Raises:
        ValueError: the subjects for training, validation or test have changed.
    """
    path = run_dir / "split.json"
    if not (holds_run(run_dir) and path.is_file()):
        return
    with TemporaryDirectory() as folder:
        new = Path(folder) / "split.json"
        split.save(new, scans_root)
        before, now = (json.loads(one.read_text(encoding="utf-8"))["subjects"] for one in (path, new))
    if before != now:
        raise ValueError(
            f"run_dir: subjects have come or gone since {run_dir} was started, and would train, validate or test "
            f"otherwise than before. Resume with data.split_file={path}, or start a new run in another run_dir."
        )
