"""Levels of measured values, and the most serious of several."""

from collections.abc import Sequence

from mri_cyclegan.evaluation.audits.audit import Audit, Level

# UNKNOWN is more serious than GREEN: an audit that could not be measured may hide a problem.
LEVELS_BY_SEVERITY = tuple(Level)


def level_above(value: float, amber: float, red: float) -> Level:
    """Level of a value that should be low: ``AMBER`` above one threshold, ``RED`` above the other."""
    return Level.RED if value > red else Level.AMBER if value > amber else Level.GREEN


def highest_level(*levels: Level) -> Level:
    """The most serious of several levels."""
    return max(levels, key=LEVELS_BY_SEVERITY.index)


def most_serious_audit(audits: Sequence[Audit]) -> Audit:
    """The most serious of several outcomes of the same audit; at least one."""
    return max(audits, key=lambda audit: LEVELS_BY_SEVERITY.index(audit.level))
