"""Directory walk that handles symbolic links, link loops and unreadable folders."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mri_cyclegan.data.findings import Finding


def walk(
    root: Path, findings: list[Finding], enter: Callable[[tuple[str, ...]], bool] = lambda parts: True
) -> Iterator[tuple[Path, list[Path]]]:
    """Yield ``root`` and each folder below it with its files; sorted, without hidden entries, following links.

    A link that is broken, or whose target may not be read, is listed as a file, so that the code that opens the file
    reports it.

    Args:
        root: folder to start from.
        findings: list that receives a finding for each folder that could not be entered.
        enter: decides whether to enter a folder, given its path parts below ``root``.
    """
    above = [identity for folder in root.absolute().parents for identity in _identity(folder)]
    yield from _walk(root, (), above, findings, enter)


def is_folder(path: Path | os.DirEntry) -> bool:
    """Whether a path is a folder or a link to one; False if that cannot be read."""
    try:
        return path.is_dir()
    except OSError:  # a link to itself, or through an unreadable folder
        return False


def _identity(folder: Path) -> list[tuple[int, int]]:
    try:
        status = folder.stat()
    except OSError:
        return []
    return [(status.st_dev, status.st_ino)]


def _walk(
    folder: Path, parts: tuple[str, ...], above: list[tuple[int, int]], findings: list[Finding], enter: Callable
) -> Iterator[tuple[Path, list[Path]]]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        remedy = "Give yourself permission to read it, or remove it."
        findings.append(Finding("error", folder, f"the folder cannot be listed ({error.strerror})", remedy))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        problem = "a link that leads back to a folder above it; not followed"
        findings.append(Finding("warning", folder, problem, "Remove the link."))
        return
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [entry for entry in shown if is_folder(entry)]
    yield folder, [folder / entry.name for entry in shown if entry not in folders]
    for entry in folders:
        if enter((*parts, entry.name)):
            yield from _walk(folder / entry.name, (*parts, entry.name), [*above, identity], findings, enter)
