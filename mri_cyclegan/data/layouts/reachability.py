"""Paths that exist but cannot be accessed, such as broken links."""

from collections.abc import Callable
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.reading import unreadable


def unreachable(path: Path, look: Callable[[Path], object] = Path.stat) -> list[Finding]:
    """Return a finding if a path exists but cannot be accessed, for example a broken link.

    Args:
        path: a file or folder.
        look: function that tries to access the path.
    """
    try:
        look(path)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or path.is_symlink():
            return [unreadable(path, error).finding]
    return []


def read_first_byte(path: Path) -> None:
    """Raise OSError if a file may not be read."""
    path.open("rb").close()
