"""The structures of all axes of all tensors in a network's graph, as its operations reveal them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Node

from stages.symmetry.structure import UNNAMED, AxisStructure, Units, fix, reason, size, units_in
from stages.symmetry.unification import unify

Axes = list[AxisStructure]
"""The structure of each axis of one tensor."""


class Constant(NamedTuple):
    """A value in the graph that depends neither on the input nor on what is stored, and what it was made from."""

    value: Any
    origin: str


@dataclass
class Trace:
    """The axes of parameters, buffers and of every value in between."""

    stored: dict[str, Axes]
    """Parameters and stored buffers by name."""
    values: dict[Node, Any] = field(default_factory=dict)
    """Graph node -> axes, or a tuple of them."""
    constants: dict[Node, Constant] = field(default_factory=dict)
    """Graph node -> its value, where that is known."""
    powers: dict[tuple[str, int], int] = field(default_factory=dict)
    """(tensor, axis) -> how rescaled units act there, for weights and biases of linear maps."""
    odd: set[Node] = field(default_factory=set)
    """Values that flip their signs with their units; all others stay as they are."""

    def axes(self, argument: Any) -> Axes:
        """The axes of a node's value. Those of a constant are new ones each time: its readers share no units by it."""
        if argument in self.constants:
            return constant_axes(*self.constants[argument])
        return self.values[argument]

    def name(self, argument: Any) -> str | None:
        """The stored tensor that an argument is, if it is one."""
        return argument.meta.get("stored") if isinstance(argument, Node) else None

    def inputs(self, node: Node) -> Axes:
        """The axes of all tensors that an operation reads, but for constants."""
        read = (self.values.get(argument) for argument in node.all_input_nodes)
        return [axis for value in read for axes in tensors_in(value) for axis in axes]

    def all_axes(self) -> Iterator[Axes]:
        """The axes of each tensor, stored ones first."""
        yield from self.stored.values()
        for value in self.values.values():
            yield from tensors_in(value)


def shape_of(node: Any) -> tuple[int, ...]:
    """Shape of a node's value."""
    return tuple(int(n) for n in node.meta["val"].shape)


def schema_of(target: Any) -> Any:
    """An operation's declaration: its name, arguments and returned values; None for what torch doesn't declare."""
    return getattr(target, "_schema", None)


def argument(node: Node, name: str) -> Any:
    """An operation's argument by its name in the operation's schema; its default where it isn't given."""
    for position, declared in enumerate(schema_of(node.target).arguments):
        if declared.name == name:
            if position < len(node.args):
                return node.args[position]
            return node.kwargs.get(name, declared.default_value)
    return None


def dimension(node: Node, name: str, ndim: int) -> int:
    """An argument that names one axis, counted from the front."""
    return int(argument(node, name)) % ndim


def tensor_arguments(node: Node) -> list[Node]:
    """The arguments of an operation that are tensors, in order."""
    given = [a for argument in node.args for a in (argument if isinstance(argument, list | tuple) else [argument])]
    return [a for a in given if isinstance(a, Node) and isinstance(a.meta.get("val"), Tensor)]


def tensors_in(value: Any) -> Iterator[Axes]:
    """The axes of each tensor in a node's value."""
    if isinstance(value, list):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors_in(part)


def fixed_axes(value: Any, by: str = UNNAMED) -> Any:
    """Axes in a fixed order for a tensor, or for each in a sequence of them."""
    if isinstance(value, Tensor):
        return [Units(int(n), by) for n in value.shape]
    return tuple(fixed_axes(v, by) for v in value) if isinstance(value, list | tuple) else None


def constant_axes(value: Any, origin: str) -> Any:
    """Axes of a tensor that is known, or of each in a sequence: fixed along those on which it varies."""
    if isinstance(value, Tensor):
        by = f"the constant {origin}"
        return [Units(n, by if _varies(value, axis) else None) for axis, n in enumerate(value.shape)]
    return tuple(constant_axes(v, origin) for v in value) if isinstance(value, list | tuple) else None


def _varies(value: Tensor, axis: int) -> bool:
    return value.numel() > 0 and not torch.equal(value, value.narrow(axis, 0, 1).expand_as(value))


def ordered(axis: AxisStructure, length: int, by: str = UNNAMED) -> Units:
    """What an operation makes of an axis whose positions it reads in their order: `length` new ones in that order."""
    if size(axis) > 1:
        fix(axis, by=by)
    return Units(length, (reason(axis) or by) if size(axis) > 1 else by)


def broadcast(a: Axes, b: Axes, stream: bool = False) -> Axes:
    """The axes of two tensors combined element by element; `stream` marks those that both have."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    joined = list(longer)
    for i in range(1, len(shorter) + 1):
        x, y = longer[-i], shorter[-i]
        if size(x) == size(y):
            unify(x, y)
            for units in units_in(x) if stream else ():
                units.stream = True
        elif size(x) == 1:
            joined[-i] = y
    return joined
