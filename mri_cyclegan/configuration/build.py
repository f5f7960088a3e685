"""Instantiates checked configurations."""

from typing import Any

from omegaconf import DictConfig


def build(node: DictConfig, **arguments: Any) -> Any:
    """Instantiate a checked node.

    Raises:
        ValueError: its constructor rejects a value; Hydra alone would wrap the message in its own.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise


def build_each(config: DictConfig, key: str) -> dict[str, Any]:
    """Instantiate the entries of a group such as ``callbacks``, by name; null disables an entry.

    Raises:
        ValueError: an entry is neither a node with ``_target_`` nor null.
    """
    group = {name: node for name, node in config[key].items() if node is not None}
    for name, node in group.items():
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise ValueError(f"{key}.{name}: expected a class under _target_ and its settings, or null for none.")
    return {name: build(node) for name, node in group.items()}
