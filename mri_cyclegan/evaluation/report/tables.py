"""The report's numbers, notes and lists, formatted as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.levels import LEVELS_BY_SEVERITY

NUM_SCALES = 5


def format_number(value: float | None, digits: int, signed: bool = False) -> str:
    """Format a value with a number of decimals and a true minus sign; None is a dash.

    >>> format_number(-0.125, 2), format_number(1.5, 1, signed=True), format_number(None, 2), format_number(-0.0001, 2)
    ('−0.12', '+1.5', '–', '0.00')
    """
    if value is None:
        return "–"
    rounded = round(value, digits) + 0.0  # turns −0 into 0
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def subject_measurements(evaluation: Mapping[str, Any], direction: str) -> list[Mapping[str, Any]]:
    """Measurements of each subject that has this direction."""
    return [subject["ways"][direction] for subject in evaluation["subjects"] if direction in subject["ways"]]


def sorted_audits(evaluation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The audits, most serious first; equally serious ones keep their order."""
    return sorted(evaluation["audits"], key=lambda audit: -LEVELS_BY_SEVERITY.index(Level(audit["level"])))


def scales_note(evaluation: Mapping[str, Any]) -> str:
    """Note that MS-SSIM had fewer scales than the protocol's five; empty otherwise."""
    counts = {
        measured["num_scales"]
        for direction in evaluation["directions"]
        for measured in subject_measurements(evaluation, direction)
        if measured["metrics"]
    }
    if not counts or min(counts) >= NUM_SCALES:
        return ""
    shown = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    return f"MS-SSIM has {shown} scales instead of {NUM_SCALES}, because sides of the slices are under 176 voxels."


def pairing_note(evaluation: Mapping[str, Any]) -> str:
    """Note on resampled targets and how far registration moved them; empty if none were resampled."""
    pairings = [pairing for subject in evaluation["subjects"] if (pairing := subject.get("pairing"))]
    moves = [pairing["registration"] for pairing in pairings if pairing["registration"]]
    if not evaluation["resampled_targets"]:
        return ""
    note = "Targets were resampled onto the grid of their source, and count as far as they reach"
    if not moves:
        return f"{note}; their place in the scanner was trusted."
    shift, rotation = (max(move[name] for move in moves) for name in ("shift_mm", "rotation_degrees"))
    gained = [move["mutual_information"] - move["mutual_information_before"] for move in moves]
    return (
        f"{note}, {len(moves)} of them after a rigid registration: moved by at most {format_number(shift, 1)} mm and "
        f"{format_number(rotation, 1)}°, mutual information higher by {format_number(min(gained), 3)} to "
        f"{format_number(max(gained), 3)}."
    )


def flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested mappings to (key, value) rows of text, with keys joined by dots.

    >>> flatten({"model": {"depth": 3, "sizes": [1, 2]}, "seed": None})
    [('model.depth', '3'), ('model.sizes', '1, 2'), ('seed', '–')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{prefix}{key}.") or [(f"{prefix}{key}", "–")]
        else:
            rows.append((f"{prefix}{key}", _as_text(value)))
    return rows


def _as_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_as_text(one)}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_as_text, value))
    return str(value)
