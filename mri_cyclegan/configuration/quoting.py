"""Quoting of values for Hydra's override grammar."""

import re
from collections.abc import Mapping, Sequence


def quote_value(value: object) -> str:
    r"""Write a value for an override, in quotes where Hydra's grammar needs them.

    >>> quote_value("/data/ixi-64"), quote_value("my scans"), quote_value("Prüfung"), quote_value(3)
    ('/data/ixi-64', '"my scans"', '"Prüfung"', '3')
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {quote_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(quote_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    if text and all((letter.isascii() and letter.isalnum()) or letter in "/._-+" for letter in text):
        return text
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # escaped: not an interpolation
    text = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return f'"{text}{_trailing_backslashes(text)}"'


def _trailing_backslashes(text: str) -> str:
    """The trailing backslashes, to be doubled: otherwise the last one would escape the closing quote."""
    return text[len(text.rstrip("\\")) :]
