"""Plugins: parts that other installed packages register as entry points; see ``docs/extending.md``."""

from importlib.metadata import entry_points
from typing import TypeVar

Part = TypeVar("Part")


def load_plugins(group: str, kind: type[Part]) -> dict[str, Part]:
    """Load the parts that installed packages add to a group, by name.

    Args:
        group: such as ``formats``, for the entry points ``mri_cyclegan.formats``.
        kind: type that each part must have.

    Raises:
        ImportError: an entry point cannot be loaded.
        TypeError: a part is of another type.
    """
    found = {}
    for entry in sorted(entry_points(group=f"mri_cyclegan.{group}")):
        package = entry.dist.name if entry.dist else "a package"
        try:
            part = entry.load()
        except Exception as error:
            raise ImportError(
                f"{package}: its entry point {entry.name} of mri_cyclegan.{group} cannot be loaded ({error}). "
                "Repair the package, or uninstall it."
            ) from error
        if not isinstance(part, kind):
            raise TypeError(
                f"{package}: its entry point {entry.name} of mri_cyclegan.{group} is a {type(part).__name__}, "
                f"expected a {kind.__module__}.{kind.__name__}."
            )
        found[entry.name] = part
    return found
