"""YAML files of anybody, as plain values."""

from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: Path) -> Any:
    """Content of a file; no tag in it makes anything but numbers, words, dates, lists and mappings.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    # Beside its own error, PyYAML raises whatever comes of a value that is not of the kind its tag says.
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
