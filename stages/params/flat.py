"""Parameters as one level of names and single values, as experiment trackers show them."""

import json
from collections.abc import Mapping
from typing import Any

Scalar = str | int | float | bool


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Values by dotted name: lists as JSON has them, and nothing for what is null."""
    found: dict[str, Scalar] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float):
            found[f"{prefix}{name}"] = value
        elif value is not None:
            found[f"{prefix}{name}"] = json.dumps(value)
    return found
