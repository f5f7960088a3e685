r"""Overrides whose values Hydra's grammar cannot read, such as ``data.subject_pattern=(sub-\d+)``: taken as text."""

import re
import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.errors import HydraException

from mri_cyclegan.configuration.quoting import quote_value

# A value that begins like this was meant for the grammar: quotes, a list, a mapping, a function such as range().
_GRAMMAR = re.compile(rf"[\"'\[{{]|({'|'.join(create_functions().definitions)})\s*\(")


def literal_overrides(overrides: Sequence[str]) -> list[str]:
    r"""Overrides as they are, with quotes around each value that the grammar refuses and that can only mean itself.

    A comma may divide values of a sweep, and ``${`` may begin a reference: with them a value is left to the grammar.

    >>> literal_overrides([r"data.subject_pattern=(sub-\d+)", "data.root=/Müller (1)", "seed=1,2", "data.x=[1,2"])
    ['data.subject_pattern="(sub-\\d+)"', 'data.root="/Müller (1)"', 'seed=1,2', 'data.x=[1,2']
    """
    return [_as_text(override) if _can_only_mean_itself(override) else override for override in overrides]


def how_to_quote(override: str) -> str | None:
    """What to type in a shell to give an unreadable value as text; None where the value is not what is unreadable."""
    return shlex.quote(_as_text(override)) if _has_unreadable_value(override) else None


def _can_only_mean_itself(override: str) -> bool:
    value = override.partition("=")[2].strip()
    is_plain = not ("," in value or "${" in value or _GRAMMAR.match(value))
    return is_plain and _has_unreadable_value(override)


def _has_unreadable_value(override: str) -> bool:
    return "=" in override and not _is_readable(override) and _is_readable(_as_text(override))


def _as_text(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}={quote_value(value)}"


def _is_readable(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True
