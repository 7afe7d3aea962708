"""The symmetry table of a network, derived from its graph as torch.export records it, and proved."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product as combinations
from operator import getitem
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import Node

from stages.symmetry.parity import note_parity
from stages.symmetry.prove import prove
from stages.symmetry.rules import HOMOGENEOUS, rule_for
from stages.symmetry.structure import (
    AxisStructure,
    Concat,
    Product,
    Units,
    factors,
    fix,
    mark_not_homogeneous,
    pieces,
    resolve,
    size,
    units_in,
)
from stages.symmetry.table import Axis, Group, Symmetry
from stages.symmetry.trace import Axes, Trace, fixed_axes, tensors_in

MAX_PLACES = 20_000
"""Groups that would need more entries than this are left out."""


@dataclass(frozen=True)
class Derived:
    """A table that passed its proof, and one line for everything that was left unpermuted for want of knowledge."""

    symmetry: Symmetry
    notes: tuple[str, ...]


def derive(module: nn.Module, example: Tensor, constants: Collection[str] = ()) -> Derived:
    """The table of every permutation group that the module's graph shows, for an input [batch, ...].

    `constants` are stored buffers that have the module's own values in all networks, and in any order of their units.
    Conservative: what passes through an operation without a rule keeps its order, and is named in the notes. Proved
    on the spot (see `prove`); what fails is left out, and named too.
    """
    trace = read_graph(module, example, constants)
    notes = [
        f"{name}: no rule for this operation ({count} x); what it touches keeps its order"
        for name, count in sorted(trace.unknown.items())
    ]
    proved = prove(module, example, _table(trace, _row_tensors(module)))
    return Derived(proved.symmetry, (*notes, *proved.notes))


def read_graph(module: nn.Module, example: Tensor, constants: Collection[str] = ()) -> Trace:
    """Run the rules over the graph that `module` has, in evaluation mode, for this input [batch, ...].

    Raises whatever torch.export raises for a module whose graph depends on the data.
    """
    exported = torch.export.export(module.eval(), (example,), strict=False)
    trace = Trace(_stored(module))
    for name in constants:
        _fix_constant(module.get_buffer(name), trace.stored[name])
    signature = exported.graph_signature
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for node in exported.graph.nodes:
        if node.op == "placeholder" and (name := sources.get(node.name)) in trace.stored:
            node.meta["stored"] = name
            trace.values[node] = trace.stored[name]
        elif node.op == "call_function":
            trace.values[node] = _output_axes(trace, node)
        elif node.op == "output":
            fix(*trace.inputs(node))
        else:  # what the user gives, or the module doesn't store
            trace.values[node] = fixed_axes(node.meta.get("val"))
    return trace


def _fix_constant(value: Tensor, axes: Axes) -> None:
    """Units can't be told apart, so they may move, only along axes on which the values are all the same."""
    for dim, axis in enumerate(axes if value.numel() else ()):
        if not torch.equal(value, value.narrow(dim, 0, 1).expand_as(value)):
            fix(axis)


def _stored(module: nn.Module) -> dict[str, Axes]:
    """Sets of units along each axis of every stored tensor; tied parameters have the same ones."""
    by_tensor: dict[int, Axes] = {}
    state = module.state_dict(keep_vars=True)
    return {name: by_tensor.setdefault(id(t), [Units(n) for n in t.shape]) for name, t in state.items()}


def _output_axes(trace: Trace, node: Node) -> Any:
    """The axes of an operation's output; without a rule, all that the operation touches is fixed."""
    if node.target is getitem:
        return trace.values[node.args[0]][node.args[1]]  # type: ignore[index]
    schema = getattr(node.target, "_schema", None)
    operation = schema.name.split("::")[-1].rstrip("_") if schema else str(node.target)
    rule = rule_for(operation, node.target)
    if rule is None:
        trace.unknown[operation] += 1
        fix(*trace.inputs(node))
        return fixed_axes(node.meta.get("val"))
    value = rule(trace, node)
    if operation not in HOMOGENEOUS.split():
        mark_not_homogeneous(*trace.inputs(node), *(axis for axes in tensors_in(value) for axis in axes))
    note_parity(trace, node, operation, value)
    return value


def _row_tensors(module: nn.Module) -> set[str]:
    """The tensors that a row holds: parameters under their first names, and floating buffers."""
    stored = module.state_dict()
    buffers = {name for name, b in module.named_buffers() if name in stored and b.is_floating_point()}
    return {name for name, _ in module.named_parameters()} | buffers


class _Place(NamedTuple):
    """Where a set of units lies along an axis, and what it is repeated over: (structure, stride), outermost first."""

    tensor: str
    axis: int
    start: int
    width: int
    outer: tuple[tuple[AxisStructure, int], ...]


def _table(trace: Trace, stored: set[str]) -> Symmetry:
    placed: dict[Units, list[_Place]] = defaultdict(list)
    for tensor, axes in trace.stored.items():
        for axis, structure in enumerate(axes if tensor in stored else ()):
            for units, place in _places(tensor, axis, resolve(structure), 0, 1, ()):
                if not units.fixed and units.size > 1:
                    placed[units].append(place)
    outer_of = _outer_sets(trace, placed)
    names = _names(placed)
    groups = {names[u]: _outer_group(trace, u, places) for u, places in placed.items() if u not in outer_of}
    groups |= {names[u]: _inner_group(placed[u], u, names[outer]) for u, outer in outer_of.items()}
    return Symmetry({name: g for name, g in groups.items() if len(g.axes) <= MAX_PLACES})


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

    So it is where one free set, and always the same, is outside it in every place, and no tensor or value has the
    inner set without the outer one.
    """
    together: dict[Units, set[Units]] = {}
    for axes in trace.all_axes():
        here = {units for structure in axes for units in units_in(structure) if not units.fixed}
        for units in here:
            together[units] = together[units] & here if units in together else set(here)
    outer_of: dict[Units, Units] = {}
    for units, places in placed.items():
        outers = {tuple(e for e, _ in p.outer if not _is_fixed(e)) for p in places}
        if len(outers) == 1 and len(only := next(iter(outers))) == 1:
            outer = only[0]
            if isinstance(outer, Units) and outer in placed and outer in together[units]:
                outer_of[units] = outer
    return {units: outer for units, outer in outer_of.items() if outer not in outer_of}


def _is_fixed(structure: AxisStructure) -> bool:
    """Whether the order of all units in it matters."""
    return all(units.fixed for units in units_in(structure))


def _outer_group(trace: Trace, units: Units, places: list[_Place]) -> Group:
    """A group of its own: what it is repeated over is written out, entry by entry."""
    axes = [
        Axis(p.tensor, p.axis, _power(trace, units, p), start, p.width, flips=_flips(trace, units, p))
        for p in places
        for start in _starts(p, p.outer)
    ]
    return Group(units.size, tuple(axes), stream=units.stream)


def _inner_group(places: list[_Place], units: Units, outer: str) -> Group:
    """A group within another: what else it is repeated over is written out."""
    axes = []
    for p in places:
        stride = next(s for e, s in p.outer if not _is_fixed(e))
        fixed = tuple((e, s) for e, s in p.outer if _is_fixed(e))
        axes += [Axis(p.tensor, p.axis, 0, start, p.width, stride) for start in _starts(p, fixed)]
    return Group(units.size, tuple(axes), within=outer, stream=units.stream)


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
