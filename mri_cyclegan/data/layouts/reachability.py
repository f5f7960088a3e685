"""Paths that are there, but lead nowhere or may not be followed."""

from collections.abc import Callable
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.reading import unreadable


def unreachable(path: Path, look: Callable[[Path], object] = Path.stat) -> list[Finding]:
    """What is wrong with a path that is there, but leads nowhere or may not be followed.

    Args:
        path: a file or folder.
        look: how it is tried.
    """
    try:
        look(path)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or path.is_symlink():
            return [unreadable(path, error).finding]
    return []


def read_first_byte(path: Path) -> None:
    """Fail where a file may not be read."""
    path.open("rb").close()
