"""The outcome of an audit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How serious it is."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Audit:
    """What was looked for, what was found, and what that means.

    Attributes:
        name: of the audit.
        way: direction, ``"ab"`` or ``"ba"``; None for the run as a whole.
        level: how serious it is; ``UNKNOWN`` where it could not be measured.
        figure: the measured figures in words, one short line.
        meaning: what they mean and what to do about it.
        values: the numbers behind the figure.
    """

    name: str
    way: str | None
    level: Level
    figure: str
    meaning: str
    values: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"level": self.level.value, "values": dict(self.values)}
