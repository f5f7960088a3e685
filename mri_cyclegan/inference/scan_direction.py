"""Infer the direction of translation from a scan's path."""

from collections.abc import Sequence
from pathlib import Path

from mri_cyclegan.data.layouts import contrast_named, strip_suffix


def require_direction(path: Path, contrasts: Sequence[str]) -> str:
    """Direction inferred from a scan's path, see :func:`find_direction`.

    Raises:
        ValueError: the path does not name a contrast.
    """
    direction = find_direction(path, contrasts)
    if direction is None:
        a, b = contrasts
        raise ValueError(
            f"{path}: its name does not say whether it is {a} or {b}. "
            f"Give the direction: ab ({a} → {b}) or ba ({b} → {a})."
        )
    return direction


def find_direction(path: Path, contrasts: Sequence[str], root: Path | None = None) -> str | None:
    """Direction of a scan by the contrast in its file name, or else in a folder name; None if neither names one.

    Args:
        path: path of the scan.
        contrasts: names of a and b.
        root: topmost folder whose name is considered; None considers only the scan's own folder.

    >>> find_direction(Path("sub-07_T2w.nii.gz"), ("T1w", "T2w")), find_direction(Path("T1/x.nii"), ("T1w", "T2w"))
    ('ba', 'ab')
    """
    folders = path.absolute().parent.parts[-1:] if root is None else (root.name, *path.relative_to(root).parts[:-1])
    for word in (strip_suffix(path.name), *reversed(folders)):
        number = contrast_named(word, contrasts)
        if number is not None:
            return ("ab", "ba")[number]
    return None
