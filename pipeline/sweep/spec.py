"""The specification of a sweep: axes from the command line or from a file, and their product."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pipeline.config import flat_overrides, read
from pipeline.configurations import built_in, find, folder_of
from pipeline.strict_yaml import parse_yaml
from stages.errors import UsageError, shown
from stages.params.base import Params

Values = Mapping[str, Any]
"""Dotted key -> value: overrides of the base configuration, e.g. `{"fit.steps": 500}`."""


class SweepFile(Params):
    """A file with a base configuration and what varies."""

    base: str = Field(min_length=1)
    """The configuration that all values override: its name, or its path below the sweep's folder."""
    about: str = ""
    """The sweep's purpose, in a sentence."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Values that all points share."""
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    """Every combination of these is a point, ..."""
    points: list[dict[str, Any]] = Field(default=[{}], min_length=1)
    """... with each of these rows of values that belong together."""


@dataclass(frozen=True)
class Sweep:
    """A base configuration and the points that override it, all with the same keys."""

    name: str
    about: str
    base: Path
    shared: tuple[str, ...]
    """Overrides as `--set` takes them, the same for all points."""
    points: tuple[Values, ...]

    @property
    def varied(self) -> tuple[str, ...]:
        """The keys that differ between points."""
        return tuple(self.points[0])


def read_sweep(file: Path, axes: Sequence[str] = ()) -> Sweep:
    """The sweep that a file describes, or the product of axes such as `fit.seed=0,1,2` over a configuration.

    Axes may also be laid over a sweep file. Raises UsageError if there is nothing to vary, or no sense in it.
    """
    path, values = read(file, "sweeps/*.yaml")
    described = _checked(file, values) if "base" in values else SweepFile(base=str(path))
    base = _base(described, path) if "base" in values else path
    points = tuple(_product(file, described.points, described.grid | _axes(axes)))
    if not points[0]:
        raise UsageError(f"{file}: nothing varies; add --grid KEY=VALUE,VALUE, e.g. --grid fit.seed=0,1,2")
    return Sweep(path.stem, described.about, base, tuple(flat_overrides(described.set)), points)


def _base(described: SweepFile, path: Path) -> Path:
    """The base of a sweep; the sweep itself may have the same name."""
    base = find(described.base, beside=folder_of(path))
    return built_in(described.base) if base.samefile(path) else base


def _checked(file: Path, values: dict[str, Any]) -> SweepFile:
    try:
        return SweepFile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where, allowed = ".".join(map(str, first["loc"])), ", ".join(SweepFile.model_fields)
        raise UsageError(f"{file}: {where}: {first['msg'].lower()}; a sweep has {allowed}") from None


def _axes(texts: Sequence[str]) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for text in texts:
        key, values = parse_axis(text)
        if key in axes:
            raise UsageError(f"--grid {text!r}: {key} is given twice; put all its values into one list")
        axes[key] = values
    return axes


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """`fit.velocity.hidden=64,128` as a key and its values, each of them YAML: `[1,2]` and `{a: 1}` are one value.

    Raises UsageError saying what is expected.
    """
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--grid {text!r}: expected key.path=value,value, e.g. fit.seed=0,1,2")
    try:
        parsed = parse_yaml(f"[{values}]")  # what YAML calls a flow sequence
    except UsageError as error:
        raise UsageError(f"--grid {shown(text)}: {error}; expected e.g. {key}=1,[2,3],null") from error
    if not isinstance(parsed, list) or not parsed:
        raise UsageError(f"--grid {text!r}: no values; expected e.g. {key}=1,2")
    return key.strip(), parsed


def _product(file: Path, rows: Sequence[Values], grid: Mapping[str, list[Any]]) -> Iterator[Values]:
    """Every row with every combination of the grid's values."""
    for key, values in grid.items():
        if not values or any(value in values[:i] for i, value in enumerate(values)):
            raise UsageError(f"{file}: {key}: expected different values, found {values}")
        if any(key in row for row in rows):
            raise UsageError(f"{file}: {key}: varied by the grid and by the points; leave one of them out")
    if uneven := [row for row in rows if set(row) != set(rows[0])]:
        raise UsageError(f"{file}: points: expected {', '.join(rows[0])} in each, found {uneven[0]}")
    for row in rows:
        for combination in itertools.product(*grid.values()):
            yield {**{key: row[key] for key in rows[0]}, **dict(zip(grid, combination, strict=True))}


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The shortest unambiguous ending of each dotted key."""

    def short(key: str) -> str:
        parts = key.split(".")
        tails = (".".join(parts[-n:]) for n in range(1, len(parts)))
        return next((tail for tail in tails if sum(f".{k}".endswith(f".{tail}") for k in keys) == 1), key)

    return {key: short(key) for key in keys}
