"""A network's symmetry table, derived from its own graph: nobody has to type it, and nothing is claimed unproved."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product as pairs
from typing import NamedTuple

from torch import Tensor, nn

from stages.symmetry.extent import Concat, Extent, Product, Units, factors, pieces, resolve, sets, size
from stages.symmetry.prove import failures
from stages.symmetry.read import read_graph
from stages.symmetry.table import Axis, Group, Symmetry
from stages.symmetry.trace import Trace

MOST_PLACES = 20_000
"""Groups that would need more entries than this are left out."""


@dataclass(frozen=True)
class Derived:
    """A table that passed its proof, and one line for everything that was left unpermuted for want of knowledge."""

    symmetry: Symmetry
    notes: tuple[str, ...]


def derive(module: nn.Module, example: Tensor) -> Derived:
    """The table of every permutation group that the module's graph shows, for an input [batch, ...].

    Conservative: what passes through an operation without a rule keeps its order, and is named in the notes. Proved
    on the spot (see `failures`); a group that fails is left out, and named too.
    """
    trace = read_graph(module, example)
    notes = [
        f"{name}: no rule for this operation ({count} x); what it touches keeps its order"
        for name, count in sorted(trace.unknown.items())
    ]
    table = _table(trace, _drawn(module))
    if failed := failures(module, example, table):
        notes += [f"group {name!r} left out: {why}" for name, why in failed.items()]
        table = table.only(set(table.groups) - set(failed))
    return Derived(table, tuple(notes))


def _drawn(module: nn.Module) -> set[str]:
    """The tensors that a row holds: parameters under their first names, and floating buffers."""
    stored = module.state_dict()
    buffers = {name for name, b in module.named_buffers() if name in stored and b.is_floating_point()}
    return {name for name, _ in module.named_parameters()} | buffers


class _Place(NamedTuple):
    """Where a set of units lies along an axis, and what it is repeated over: (extent, stride) from the outside in."""

    tensor: str
    axis: int
    start: int
    width: int
    outer: tuple[tuple[Extent, int], ...]


def _table(trace: Trace, drawn: set[str]) -> Symmetry:
    found: dict[Units, list[_Place]] = defaultdict(list)
    for tensor, axes in trace.stored.items():
        for axis, extent in enumerate(axes if tensor in drawn else ()):
            for units, place in _places(tensor, axis, resolve(extent), 0, 1, ()):
                if not units.fixed and units.size > 1:
                    found[units].append(place)
    holders = _holders(trace, found)
    names = _names(found)
    groups = {names[u]: _outer_group(trace, u, places) for u, places in found.items() if u not in holders}
    groups |= {names[u]: _inner_group(found[u], u, names[h]) for u, h in holders.items()}
    return Symmetry({name: g for name, g in groups.items() if len(g.axes) <= MOST_PLACES})


def _places(
    tensor: str, axis: int, extent: Extent, start: int, width: int, outer: tuple[tuple[Extent, int], ...]
) -> Iterator[tuple[Units, _Place]]:
    """Every set of units along an axis with its place."""
    if isinstance(extent, Units):
        yield extent, _Place(tensor, axis, start, width, outer)
    elif isinstance(extent, Concat):
        for part in pieces(extent):
            yield from _places(tensor, axis, part, start, width, outer)
            start += size(part) * width
    elif isinstance(extent, Product):
        stride = width * size(extent)
        for part in factors(extent):
            stride //= size(part)
            yield from _places(tensor, axis, part, start, stride, outer)
            outer = (*outer, (part, stride))


def _holders(trace: Trace, found: dict[Units, list[_Place]]) -> dict[Units, Units]:
    """Set -> the set each unit of which holds it whole, so that it may be permuted in each on its own.

    So it is where one free set, and always the same, is outside it in every place, and no tensor or value has the
    inner set without the outer one.
    """
    together: dict[Units, set[Units]] = {}
    for axes in trace.everything():
        here = {units for extent in axes for units in sets(extent) if not units.fixed}
        for units in here:
            together[units] = together[units] & here if units in together else set(here)
    holders = {}
    for units, places in found.items():
        outers = {tuple(e for e, _ in p.outer if not _ordered(e)) for p in places}
        if len(outers) == 1 and len(only := next(iter(outers))) == 1:
            holder = only[0]
            if isinstance(holder, Units) and holder in found and holder in together[units]:
                holders[units] = holder
    return {u: h for u, h in holders.items() if h not in holders}


def _ordered(extent: Extent) -> bool:
    """Whether nothing in it is free to move."""
    return all(units.fixed for units in sets(extent))


def _outer_group(trace: Trace, units: Units, places: list[_Place]) -> Group:
    """A group of its own: what it is repeated over is written out, entry by entry."""
    axes = [
        Axis(p.tensor, p.axis, _power(trace, units, p), start, p.width) for p in places for start in _starts(p, p.outer)
    ]
    return Group(units.size, tuple(axes), stream=units.stream)


def _inner_group(places: list[_Place], units: Units, holder: str) -> Group:
    """A group within another: what else it is repeated over is written out."""
    axes = []
    for p in places:
        stride = next(s for e, s in p.outer if not _ordered(e))
        fixed = tuple((e, s) for e, s in p.outer if _ordered(e))
        axes += [Axis(p.tensor, p.axis, 0, start, p.width, stride) for start in _starts(p, fixed)]
    return Group(units.size, tuple(axes), within=holder, stream=units.stream)


def _starts(p: _Place, outer: tuple[tuple[Extent, int], ...]) -> list[int]:
    """The first position in every repetition."""
    offsets = [[i * stride for i in range(size(extent))] for extent, stride in outer]
    return [p.start + sum(steps) for steps in pairs(*offsets)]


def _power(trace: Trace, units: Units, p: _Place) -> int:
    return trace.powers.get((p.tensor, p.axis), 0) if units.homogeneous else 0


def _names(found: dict[Units, list[_Place]]) -> dict[Units, str]:
    """Each group is called after the module whose tensor it lies on first; further ones there are numbered."""
    names: dict[Units, str] = {}
    for units, places in found.items():
        module = places[0].tensor.rpartition(".")[0] or places[0].tensor
        taken = sum(name.partition("~")[0] == module for name in names.values())
        names[units] = f"{module}~{taken + 1}" if taken else module
    return names
