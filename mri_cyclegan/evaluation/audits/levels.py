"""From a figure to a level."""

from collections.abc import Sequence

from mri_cyclegan.evaluation.audits.audit import Audit, Level

# What is unknown is not known to be fine.
SERIOUSNESS = tuple(Level)


def level_above(value: float, amber: float, red: float) -> Level:
    """Level of a figure that should be low: ``AMBER`` above one threshold, ``RED`` above the other."""
    return Level.RED if value > red else Level.AMBER if value > amber else Level.GREEN


def most_serious(*levels: Level) -> Level:
    """The worst of several levels."""
    return max(levels, key=SERIOUSNESS.index)


def most_serious_audit(audits: Sequence[Audit]) -> Audit:
    """The worst of several audits of the same thing; at least one."""
    return max(audits, key=lambda audit: SERIOUSNESS.index(audit.level))
