"""Entities in BIDS file names, and filters on them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

FilterValue = str | int | None | Sequence[str | int]

# Long entity names, as BIDS tools accept them, to the keys in file names.
LONG_NAMES = {
    "acquisition": "acq",
    "ceagent": "ce",
    "description": "desc",
    "direction": "dir",
    "reconstruction": "rec",
    "resolution": "res",
    "session": "ses",
}
KEYS = ("acq", "ce", "desc", "dir", "echo", "flip", "inv", "mt", "part", "rec", "res", "run", "ses", "space")

EXAMPLE = "Example: data.bids_filters={T1w: {acq: highres, run: 1}}."

# Values of part- for phase images or one component of a complex signal, which are not anatomical images.
NON_MAGNITUDE_PARTS = ("phase", "real", "imag")


def parse_entities(stem: str) -> dict[str, str]:
    """Return the entities of a BIDS file name, without subject and suffix.

    >>> parse_entities("sub-01_acq-highres_run-01_T1w")
    {'acq': 'highres', 'run': '01'}
    """
    pairs = (chunk.split("-", 1) for chunk in stem.split("_")[:-1] if "-" in chunk)
    return {key: value for key, value in pairs if key != "sub"}


def matches_filter(found: Mapping[str, str], wanted: Mapping[str, FilterValue]) -> bool:
    """Whether the entities of a scan have the wanted values; numbers are compared without leading zeros.

    >>> matches_filter({"run": "01"}, {"run": 1}), matches_filter({}, {"acq": None})
    (True, True)
    >>> matches_filter({"acq": "a"}, {"acq": ["b", "c"]})
    False
    """
    for key, value in wanted.items():
        allowed = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        if _normalize_number(found.get(key)) not in [_normalize_number(one) for one in allowed]:
            return False
    return True


def checked_filters(filters: Mapping[str, Any], contrasts: Sequence[str]) -> dict[str, dict[str, FilterValue]]:
    """Check filters and return them with short keys.

    Raises:
        ValueError: a contrast or an entity is unknown; the message names the key.
    """
    checked: dict[str, dict[str, FilterValue]] = {}
    for contrast, wanted in dict(filters or {}).items():
        if contrast not in contrasts or not isinstance(wanted, Mapping):
            raise ValueError(
                f"data.bids_filters: expected entities of {' or '.join(contrasts)}, got {contrast}: {wanted}. {EXAMPLE}"
            )
        checked[contrast] = {LONG_NAMES.get(str(key), str(key)): value for key, value in wanted.items()}
        if unknown := sorted(set(checked[contrast]) - set(KEYS)):
            raise ValueError(
                f"data.bids_filters.{contrast}: {', '.join(unknown)} is no entity of an image; known are "
                f"{', '.join(KEYS)}."
            )
    return checked


def parse_filters(text: str | None) -> dict[str, Any]:
    """Parse command-line filters, written as in Hydra or YAML: ``{T1w: {acq: highres, run: 1}}``.

    Raises:
        ValueError: the text cannot be parsed.
    """
    try:
        filters = yaml.safe_load(text or "{}")
    except yaml.YAMLError as error:
        raise ValueError(f"--bids-filters: {text} cannot be read. {EXAMPLE}") from error
    if not isinstance(filters, dict):
        raise ValueError(f"--bids-filters: {text} names no contrast. {EXAMPLE}")
    return filters


def _normalize_number(value: object) -> object:
    text = None if value is None else str(value)
    return str(int(text)) if text is not None and re.fullmatch(r"\d+", text) else text
