"""Which commit a package's code is of."""

import os
import subprocess
from pathlib import Path
from typing import Any

TIMEOUT_S = 5.0

# What points Git at another repository than the one a folder lies in; a hook of that one sets them.
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


def git_revision(package: Path) -> dict[str, Any] | None:
    """Commit of the work tree that a package's own files are tracked in.

    Args:
        package: folder with an ``__init__.py``.

    Returns:
        ``revision``, the commit; ``dirty``, whether a tracked file of the work tree has changed since, or the package
        has files that are not tracked; None where that takes too long. None where the package is no repository's code,
        as when it is installed (also within a repository's folder), or where Git is missing or refuses.
    """
    if _git(package, "ls-files", "--error-unmatch", "--", "__init__.py") is None:
        return None
    revision = _git(package, "rev-parse", "--verify", "HEAD")
    if revision is None:
        return None
    changed = _git(package, "status", "--porcelain", "--untracked-files=no")
    added = _git(package, "ls-files", "--others", "--exclude-standard", "--exclude=__pycache__")
    dirty = None if changed is None or added is None else bool(changed or added)
    return {"revision": revision.decode("ascii").strip(), "dirty": dirty}


def _git(folder: Path, *words: str) -> bytes | None:
    """What Git answers; None where it cannot, will not or takes too long."""
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        done = subprocess.run(
            # No monitor of the file system is started, and no lock taken that a commit elsewhere would meet.
            ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
