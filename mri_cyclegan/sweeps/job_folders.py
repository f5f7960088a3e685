"""Folders of a sweep's jobs, including those of failed jobs."""

from collections.abc import Iterable
from pathlib import Path

from mri_cyclegan.runs.run_folder import ERROR


def job_folders(root: Path) -> list[Path]:
    """Find all job folders below a folder, including those of failed jobs."""
    started = {path.parent.parent for path in root.rglob(".hydra/overrides.yaml")}
    runs = {path.parent for path in root.rglob("config.yaml") if path.parent.name != ".hydra"}
    return sorted(started | runs)


def failed(folders: Iterable[Path]) -> dict[Path, str]:
    """Folders without a result, each with the reason as text."""
    return {folder: _failure_reason(folder) for folder in folders if not (folder / "summary.json").is_file()}


def _failure_reason(folder: Path) -> str:
    try:
        text = (folder / ERROR).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "did not end: killed, interrupted, or still running"
    except OSError as error:
        return f"{ERROR} cannot be read ({error.strerror})"
    return text.partition("\n\nTraceback (most recent call last)")[0].strip()
