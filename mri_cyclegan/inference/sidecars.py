"""JSON files beside images: what is known of a scan, and what this program says of a translation."""

import json
from pathlib import Path
from typing import Any

from mri_cyclegan.data.layouts import strip_suffix
from mri_cyclegan.inference.synthetic_image import PACKAGE


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_ours(path: Path) -> bool:
    """Whether a JSON file says that this program made what it describes."""
    return says_ours(read_json(path))


def says_ours(entries: dict[str, Any]) -> bool:
    """Likewise, of a file's content."""
    try:
        return entries["GeneratedBy"][0]["Name"] == PACKAGE
    except (KeyError, IndexError, TypeError):
        return False


def inherited(scan: Path, root: Path) -> dict[str, Any]:
    """Entries of all sidecars that apply to a scan, of its own folder and those above; the nearest one wins.

    Args:
        scan: in a BIDS data set.
        root: of the data set.

    Reference:
        BIDS specification, "The inheritance principle": a file applies if the name of the scan has all of its entities.
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
