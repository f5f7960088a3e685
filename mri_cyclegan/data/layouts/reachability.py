"""Paths that exist but cannot be accessed, such as broken links."""

from collections.abc import Callable
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.reading import unreadable_error


def access_findings(path: Path, look: Callable[[Path], object] = Path.stat) -> list[Finding]:
    """Return a finding if a path exists but cannot be accessed, for example a broken link.

    Args:
        path: a file or folder.
        look: function that tries to access the path.
    """
    try:
        look(path)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or path.is_symlink():
            return [unreadable_error(path, error).finding]
    return []


def require_openable(path: Path) -> None:
    """Raise OSError if a file may not be read."""
    path.open("rb").close()
