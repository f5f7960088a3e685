"""Classes of other packages that the user has named, and that a configuration or model may therefore build.

Other classes outside the allowlist are rejected: a configuration or model may come from a stranger.
"""

import importlib
import re
from collections.abc import Iterable

# Names trusted in this process.
_trusted: set[str] = set()

DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def trust(names: Iterable[str]) -> None:
    """Allow classes to be built in this process.

    Args:
        names: full names with module, such as ``my_lab.nets.Generator``.

    Raises:
        ValueError: a name has no module.
    """
    for name in names:
        if not DOTTED_NAME.fullmatch(name):
            raise ValueError(f"{name}: expected a class with its module, such as my_lab.nets.Generator.")
        _trusted.add(name)


def is_trusted(name: str) -> bool:
    """Whether the user has named a class.

    >>> trust(["my_lab.nets.Generator"])
    >>> is_trusted("my_lab.nets.Generator"), is_trusted("my_lab.nets.Other")
    (True, False)
    """
    return name in _trusted


def import_class(name: str) -> type:
    """Import a class by its full name, such as ``my_lab.nets.Generator``; this runs its module.

    Raises:
        ValueError: the module does not exist, or it has no such class.
    """
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name} does not exist ({error}).") from error
    if not isinstance(found, type):
        raise ValueError(f"{name} is no class, and may not be built.")
    return found
