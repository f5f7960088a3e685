"""Classes of other packages that the user has named, and that a configuration or a model may therefore have built.

Whatever else a configuration or a model names is refused: it may come from a stranger.
"""

import importlib
import re
from collections.abc import Iterable

# Named in this process.
_trusted: set[str] = set()

DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def trust(names: Iterable[str]) -> None:
    """Let these classes be built in this process.

    Args:
        names: with their modules, such as ``my_lab.nets.Generator``.

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
    """The class of a name, such as ``my_lab.nets.Generator``; its module is imported, which runs it.

    Raises:
        ValueError: there is no such module, or no such class in it.
    """
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name} does not exist ({error}).") from error
    if not isinstance(found, type):
        raise ValueError(f"{name} is no class, and may not be built.")
    return found
