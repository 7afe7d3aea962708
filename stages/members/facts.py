"""Facts about members of zoos trained elsewhere: read from names, tables and headers, kept as typed columns."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stages.params.facts import Facts, column_name, is_known, number, text
from stages.store.weights import UNKNOWN


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | float]]:
    """Values that are known, by `column_name`; `{"optim": {"lr": 0.1}}` and `{"optim::lr": 0.1}` give `optim.lr`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        elif (plain := _plain(value)) is not None:
            yield column_name(prefix + name), plain


def _plain(value: Any) -> str | float | None:
    """A number or text; None for what says that nothing is known."""
    match value:
        case bool() | list():
            return json.dumps(value)
        case int() | float():
            return float(value) if math.isfinite(value) else None
        case str():
            return value.strip() if is_known(value) else None
        case _:
            return None


def parsed(values: Mapping[str, str]) -> dict[str, Any]:
    """Text that is JSON, as that; other text as it is. Nothing is evaluated."""
    return {name: _json(value) for name, value in values.items()}


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def columns(members: Sequence[Facts], categories: Collection[str] = ()) -> dict[str, np.ndarray]:
    """A column [members] for each fact: float if all its known values are numbers, else text.

    Unknown values are NaN, and UNKNOWN in text. `categories` are text in any case.
    """
    names = sorted({name for facts in members for name in facts})
    return {name: _column([facts.get(name) for facts in members], name in categories) for name in names}


def _column(values: Sequence[str | float | None], category: bool) -> np.ndarray:
    numbers = [None if value is None else number(value) for value in values]
    if not category and all(n is not None or value is None for n, value in zip(numbers, values, strict=True)):
        return np.array([np.nan if n is None else n for n in numbers], dtype=np.float64)
    return np.array([UNKNOWN if value is None else text(value) for value in values], dtype=object)


def missing(column: np.ndarray) -> np.ndarray:
    """Which values [members] of a column aren't known."""
    return np.isnan(column) if column.dtype.kind == "f" else column == UNKNOWN
