"""In which direction a scan is to be translated."""

from collections.abc import Sequence
from pathlib import Path

from mri_cyclegan.data.layouts import contrast_named, strip_suffix


def direction_of(path: Path, contrasts: Sequence[str]) -> str:
    """Direction that a scan's path speaks for, see :func:`named_direction`.

    Raises:
        ValueError: nothing in the path tells.
    """
    direction = named_direction(path, contrasts)
    if direction is None:
        a, b = contrasts
        raise ValueError(
            f"{path}: its name does not tell whether it is {a} or {b}. "
            f"Give the direction: ab ({a} → {b}) or ba ({b} → {a})."
        )
    return direction


def named_direction(path: Path, contrasts: Sequence[str], root: Path | None = None) -> str | None:
    """Direction of a scan whose name, or else whose folder, names one of the contrasts; None where neither does.

    Args:
        path: of the scan.
        contrasts: names of a and b.
        root: folders from here on down count; None for the scan's own folder alone.

    >>> named_direction(Path("sub-07_T2w.nii.gz"), ("T1w", "T2w")), named_direction(Path("T1/x.nii"), ("T1w", "T2w"))
    ('ba', 'ab')
    """
    folders = path.absolute().parent.parts[-1:] if root is None else (root.name, *path.relative_to(root).parts[:-1])
    for word in (strip_suffix(path.name), *reversed(folders)):
        number = contrast_named(word, contrasts)
        if number is not None:
            return ("ab", "ba")[number]
    return None
