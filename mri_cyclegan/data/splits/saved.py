"""Reads the split of an earlier run; :meth:`mri_cyclegan.data.splits.split.Split.save` writes it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

PARTS = ("train_a", "train_b", "val", "test")
LEFT_OUT = "left_out"


def read_split_file(path: Path, contrasts: Sequence[str]) -> dict[str, set[str]]:
    """Read the subjects of each part, by name, so that files may have moved since.

    Only ``contrasts`` and ``subjects`` are read, so the file can also be written by hand.

    Args:
        path: ``split.json``.
        contrasts: (a, b) of this run; if the file has them in reverse order, ``train_a`` and ``train_b`` are swapped.

    Returns:
        Subject names of ``train_a``, ``train_b``, ``val``, ``test`` and ``left_out``.

    Raises:
        ValueError: the file is missing or malformed, has other contrasts, or has a subject in two parts.
    """
    content = _read(path)
    parts = {part: set(content["subjects"].get(part, [])) for part in (*PARTS, LEFT_OUT)}
    if set(content["contrasts"]) != set(contrasts):
        raise ValueError(
            f"{path}: divides {' and '.join(content['contrasts'])}, but data.contrasts is {' and '.join(contrasts)}. "
            "Set data.split_file to the split of a run with the same contrasts, or to null."
        )
    if tuple(content["contrasts"]) != tuple(contrasts):
        parts["train_a"], parts["train_b"] = parts["train_b"], parts["train_a"]
    _refuse_double_parts(path, parts)
    return parts


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}). Set data.split_file to the split.json of an earlier run."
        ) from error
    except ValueError as error:
        raise _malformed(path, f"not JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("subjects"), dict):
        raise _malformed(path, "no 'subjects'")
    contrasts, subjects = content.get("contrasts"), content["subjects"]
    if not _are_names(contrasts) or len(contrasts) != 2:
        raise _malformed(path, "'contrasts' is not a list of two names")
    for part in PARTS:
        if part not in subjects:
            raise _malformed(path, f"no {part!r} in 'subjects'")
    for part, names in subjects.items():
        if part not in (*PARTS, LEFT_OUT):
            raise _malformed(path, f"unknown part {part!r} in 'subjects'")
        if not _are_names(names):
            raise _malformed(path, f"{part!r} in 'subjects' is not a list of names")
    return content


def _malformed(path: Path, problem: str) -> ValueError:
    known = ", ".join((*PARTS, LEFT_OUT))
    return ValueError(
        f"{path}: not a saved split: {problem}. data.split_file expects the split.json of an earlier run, with "
        f"'contrasts' (two names) and 'subjects' (lists of names: {known})."
    )


def _are_names(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _refuse_double_parts(path: Path, parts: dict[str, set[str]]) -> None:
    """Raise if two parts share a subject; the two training domains may, subject to the settings' own check."""
    seen: dict[str, str] = {}
    for part, names in parts.items():
        for name in sorted(names):
            if name in seen and (seen[name], part) != ("train_a", "train_b"):
                raise ValueError(
                    f"{path}: subject {name} is in both {seen[name]} and {part}; a subject has one part. "
                    "Correct the file, or set data.split_file=null to draw a new split."
                )
            seen[name] = part
