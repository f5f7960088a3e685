"""Reads untrusted YAML files as plain values."""

from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: Path) -> Any:
    """Content of a YAML file as numbers, strings, dates, lists and mappings; tags for other types are refused.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not YAML, or holds other types.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    # PyYAML does not wrap errors from converting a value that does not match its tag.
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
