"""The outcome of an audit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How serious it is, the mildest first; these words are shown wherever an audit is."""

    GREEN = "green"
    UNKNOWN = "unknown"
    AMBER = "amber"
    RED = "red"

    @property
    def symbol(self) -> str:
        """For who does not see colours."""
        return {Level.GREEN: "✓", Level.UNKNOWN: "?", Level.AMBER: "!", Level.RED: "✕"}[self]

    @property
    def meaning(self) -> str:
        """What to make of it."""
        return {
            Level.GREEN: "nothing was found",
            Level.UNKNOWN: "it could not be measured",
            Level.AMBER: "look before you rely on it",
            Level.RED: "do not rely on it",
        }[self]


def legend() -> str:
    """All levels and what they mean, the most serious first.

    >>> legend().split("; ")[:2]
    ['red: do not rely on it', 'amber: look before you rely on it']
    """
    return "; ".join(f"{level}: {level.meaning}" for level in reversed(Level))


@dataclass(frozen=True)
class Audit:
    """What was looked for, what was found, and what that means.

    Attributes:
        name: of the audit.
        direction: direction, ``"ab"`` or ``"ba"``; None for the run as a whole.
        level: how serious it is; ``UNKNOWN`` where it could not be measured.
        figure: the measured figures in words, one short line.
        meaning: what they mean and what to do about it.
        values: the numbers behind the figure.
    """

    name: str
    direction: str | None
    level: Level
    figure: str
    meaning: str
    values: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; files of every version call the direction ``way``."""
        content = asdict(self) | {"level": self.level.value, "values": dict(self.values)}
        return {{"direction": "way"}.get(key, key): value for key, value in content.items()}
