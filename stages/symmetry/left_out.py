"""Lines about all that a table leaves unpermuted, and why."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from stages.symmetry.structure import INPUT, KERNEL, OUTPUT, AxisStructure, units_in
from stages.symmetry.trace import Axes

SHOWN = 4
"""Names given in a line, at most."""


def left_out(stored: dict[str, Axes], rows: Collection[str]) -> list[str]:
    """A line for each reason that keeps axes of the rows' tensors in order, but for the task's own.

    Numbers in names are replaced by *: equal layers take one place.
    """
    kept: dict[str, list[str]] = defaultdict(list)
    for tensor, axes in stored.items():
        for axis, structure in enumerate(axes if tensor in rows else ()):
            for reason in _reasons(structure):
                kept[_pattern(reason)].append(f"{tensor}[{axis}]")
    return [f"kept in order by {reason}: {listed(axes, 'axis', 'axes')}" for reason, axes in kept.items()]


def _reasons(structure: AxisStructure) -> Iterable[str]:
    units_along = list(units_in(structure))
    found = dict.fromkeys(units.fixed_by for units in units_along if units.size > 1)
    if sum(units.size == 1 for units in units_along) > 1:
        found["being read position by position"] = None
    return [reason for reason in found if reason not in (None, INPUT, OUTPUT, KERNEL)]


def listed(names: Collection[str], one: str, many: str) -> str:
    """How many there are, and the first few, with * for numbers."""
    patterns = list(dict.fromkeys(map(_pattern, names)))
    more = f" and {len(patterns) - SHOWN} more" if len(patterns) > SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many} ({', '.join(patterns[:SHOWN])}{more})"


def _pattern(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.)|\b\d+(?=\.)", "*", name)
