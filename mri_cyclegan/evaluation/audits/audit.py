"""The outcome of an audit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """Severity of an audit's outcome, mildest first; the values are shown to users."""

    GREEN = "green"
    UNKNOWN = "unknown"
    AMBER = "amber"
    RED = "red"

    @property
    def symbol(self) -> str:
        """Symbol for readers who do not see color."""
        return {Level.GREEN: "✓", Level.UNKNOWN: "?", Level.AMBER: "!", Level.RED: "✕"}[self]

    @property
    def meaning(self) -> str:
        """What the level means to the user."""
        return {
            Level.GREEN: "nothing was found",
            Level.UNKNOWN: "it could not be measured",
            Level.AMBER: "look before you rely on it",
            Level.RED: "do not rely on it",
        }[self]


def legend() -> str:
    """All levels and what they mean, most serious first.

    >>> legend().split("; ")[:2]
    ['red: do not rely on it', 'amber: look before you rely on it']
    """
    return "; ".join(f"{level}: {level.meaning}" for level in reversed(Level))


@dataclass(frozen=True)
class Audit:
    """The outcome of one audit in one direction or for the whole run.

    Attributes:
        name: name of the audit.
        direction: ``"ab"`` or ``"ba"``; None for the whole run.
        level: severity; ``UNKNOWN`` if it could not be measured.
        figure: the measured values as one short line of text.
        meaning: what they mean and what to do about it.
        values: the measured values as numbers.
    """

    name: str
    direction: str | None
    level: Level
    figure: str
    meaning: str
    values: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; the direction's key is ``way`` in files of every version."""
        content = asdict(self) | {"level": self.level.value, "values": dict(self.values)}
        return {{"direction": "way"}.get(key, key): value for key, value in content.items()}
