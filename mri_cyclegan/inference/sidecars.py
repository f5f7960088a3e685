"""JSON sidecars of images: metadata of scans, and of this program's translations."""

import json
from pathlib import Path
from typing import Any

from mri_cyclegan.data.layouts import strip_suffix
from mri_cyclegan.inference.synthetic_image import PACKAGE


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty if it is missing, unreadable, or not an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_generated_file(path: Path) -> bool:
    """Whether a JSON file names this program as the generator of what it describes."""
    return is_generated(read_json(path))


def is_generated(entries: dict[str, Any]) -> bool:
    """Whether a JSON file's content names this program as the generator."""
    try:
        return entries["GeneratedBy"][0]["Name"] == PACKAGE
    except (KeyError, IndexError, TypeError):
        return False


def inherited_entries(scan: Path, root: Path) -> dict[str, Any]:
    """Merged entries of all sidecars that apply to a scan, in its folder and those above; the nearest one wins.

    Args:
        scan: path of a scan in a BIDS data set.
        root: root folder of the data set.

    Reference:
        BIDS specification, "The inheritance principle": a sidecar applies if the scan's name has all of its entities.
    """
    *entities, suffix = strip_suffix(scan.name).split("_")
    entries: dict[str, Any] = {}
    for folder in reversed([parent for parent in scan.parents if parent.is_relative_to(root)]):
        applying = [
            path
            for path in folder.glob(f"*{suffix}.json")
            if path.stem.split("_")[-1] == suffix and set(path.stem.split("_")[:-1]) <= set(entities)
        ]
        for path in sorted(applying, key=lambda path: path.stem.count("_")):
            entries |= read_json(path)
    return entries
