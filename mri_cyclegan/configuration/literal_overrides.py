r"""Takes override values that Hydra's grammar cannot parse, such as ``data.subject_pattern=(sub-\d+)``, as text."""

import re
import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.errors import HydraException

from mri_cyclegan.configuration.quoting import quote_value

# A value that starts like this was meant as Hydra syntax: quotes, a list, a mapping, a function such as range().
_GRAMMAR = re.compile(rf"[\"'\[{{]|({'|'.join(create_functions().definitions)})\s*\(")


def literal_overrides(overrides: Sequence[str]) -> list[str]:
    r"""Quote each value that the grammar cannot parse and that can only be plain text; leave others unchanged.

    A comma may separate sweep values, and ``${`` may start an interpolation: values with either are left unchanged.

    >>> literal_overrides([r"data.subject_pattern=(sub-\d+)", "data.root=/Müller (1)", "seed=1,2", "data.x=[1,2"])
    ['data.subject_pattern="(sub-\\d+)"', 'data.root="/Müller (1)"', 'seed=1,2', 'data.x=[1,2']
    """
    return [_as_text(override) if _is_unambiguous_text(override) else override for override in overrides]


def how_to_quote(override: str) -> str | None:
    """What to type in a shell to give an unparsable value as text; None if quoting the value would not help."""
    return shlex.quote(_as_text(override)) if _has_unreadable_value(override) else None


def _is_unambiguous_text(override: str) -> bool:
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
