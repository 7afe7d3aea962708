"""The groups of a table, from the structures of the axes that units lie along."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import product as combinations
from typing import NamedTuple

from stages.symmetry.structure import AxisStructure, Concat, Product, Units, factors, pieces, resolve, size, units_in
from stages.symmetry.table import Axis, Group, Symmetry
from stages.symmetry.trace import Trace


class _Place(NamedTuple):
    """Where a set of units lies along an axis, and what it is repeated over: (structure, stride), outermost first."""

    tensor: str
    axis: int
    start: int
    width: int
    outer: tuple[tuple[AxisStructure, int], ...]


def table_of(trace: Trace, stored: Collection[str]) -> Symmetry:
    """Every set of units whose order is free, as it lies on these tensors."""
    placed: dict[Units, list[_Place]] = defaultdict(list)
    for tensor, axes in trace.stored.items():
        for axis, structure in enumerate(axes if tensor in stored else ()):
            for units, place in _places(tensor, axis, resolve(structure), 0, 1, ()):
                if not units.fixed and units.size > 1:
                    placed[units].append(place)
    outer_of = _outer_sets(trace, placed)
    names = _names(placed)
    groups = {names[u]: _outer_group(trace, u, places) for u, places in placed.items() if u not in outer_of}
    groups |= {names[u]: _inner_group(placed[u], u, outer, names[outer]) for u, outer in outer_of.items()}
    return Symmetry(groups)


def _places(
    tensor: str,
    axis: int,
    structure: AxisStructure,
    start: int,
    width: int,
    outer: tuple[tuple[AxisStructure, int], ...],
) -> Iterator[tuple[Units, _Place]]:
    """Every set of units along an axis with its place."""
    if isinstance(structure, Units):
        yield structure, _Place(tensor, axis, start, width, outer)
    elif isinstance(structure, Concat):
        for part in pieces(structure):
            yield from _places(tensor, axis, part, start, width, outer)
            start += size(part) * width
    elif isinstance(structure, Product):
        stride = width * size(structure)
        for part in factors(structure):
            stride //= size(part)
            yield from _places(tensor, axis, part, start, stride, outer)
            outer = (*outer, (part, stride))


def _outer_sets(trace: Trace, placed: dict[Units, list[_Place]]) -> dict[Units, Units]:
    """Set -> the set each unit of which holds it whole, so that it may be permuted in each on its own.

    So it is where a free set is outside it in every place, and no tensor or value has the inner set without the outer
    one. Of several the outermost is taken.
    """
    together: dict[Units, set[Units]] = {}
    for axes in trace.all_axes():
        here = {units for structure in axes for units in units_in(structure) if not units.fixed}
        for units in here:
            together[units] = together[units] & here if units in together else set(here)
    outer_of: dict[Units, Units] = {}
    for units, places in placed.items():
        around = [[e for e, _ in p.outer if isinstance(e, Units) and e in placed] for p in places]
        for outer in around[0]:
            if outer in together[units] and all(outer in others for others in around):
                outer_of.setdefault(units, outer)
    return {units: outer for units, outer in outer_of.items() if outer not in outer_of}


def _outer_group(trace: Trace, units: Units, places: list[_Place]) -> Group:
    """A group of its own: what it is repeated over is written out, entry by entry."""
    axes = [
        Axis(p.tensor, p.axis, _power(trace, units, p), start, p.width, flips=_flips(trace, units, p))
        for p in places
        for start in _starts(p, p.outer)
    ]
    return Group(units.size, tuple(axes), stream=units.stream)


def _inner_group(places: list[_Place], units: Units, outer: Units, name: str) -> Group:
    """A group within another: what else it is repeated over is written out."""
    axes = []
    for p in places:
        stride = next(s for e, s in p.outer if e is outer)
        others = tuple((e, s) for e, s in p.outer if e is not outer)
        axes += [Axis(p.tensor, p.axis, 0, start, p.width, stride) for start in _starts(p, others)]
    return Group(units.size, tuple(axes), within=name, stream=units.stream)


def _starts(p: _Place, outer: tuple[tuple[AxisStructure, int], ...]) -> list[int]:
    """The first position in every repetition."""
    offsets = [[i * stride for i in range(size(structure))] for structure, stride in outer]
    return [p.start + sum(steps) for steps in combinations(*offsets)]


def _power(trace: Trace, units: Units, p: _Place) -> int:
    return trace.powers.get((p.tensor, p.axis), 0) if units.homogeneous else 0


def _flips(trace: Trace, units: Units, p: _Place) -> bool:
    return units.odd and (p.tensor, p.axis) in trace.powers


def _names(placed: dict[Units, list[_Place]]) -> dict[Units, str]:
    """Each group is called after the module whose tensor it lies on first; further ones there are numbered."""
    names: dict[Units, str] = {}
    for units, places in placed.items():
        module = places[0].tensor.rpartition(".")[0] or places[0].tensor
        taken = sum(name.partition("~")[0] == module for name in names.values())
        names[units] = f"{module}~{taken + 1}" if taken else module
    return names
