"""Checks of constructor arguments that come from the configuration; each message names the key."""

from collections.abc import Sequence
from typing import Any


def require_one_of(key: str, value: Any, known: Sequence[Any]) -> None:
    """Raise unless ``value`` is one of ``known``.

    Raises:
        ValueError: lists all known values.
    """
    if value not in known:
        names = ", ".join("null" if name is None else name for name in known)
        raise ValueError(f"{key}: expected one of {names}, got {value!r}.")


def require_non_negative(key: str, value: float) -> None:
    """Raise unless ``value`` is a non-negative number.

    Raises:
        ValueError: names the value.
    """
    if not (isinstance(value, int | float) and value >= 0):
        raise ValueError(f"{key}: expected 0 or more, got {value!r}.")


def require_decay(key: str, share: float | None) -> None:
    """Raise unless ``share`` is a share of the epochs in (0, 1], or None.

    Raises:
        ValueError: names the value.
    """
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):
        raise ValueError(
            f"{key}: expected a share of the epochs in (0, 1], or null for a constant weight; got {share}."
        )
