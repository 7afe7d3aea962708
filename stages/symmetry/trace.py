"""The structures of all axes of all tensors in a network's graph, as its operations reveal them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.fx import Node

from stages.symmetry.structure import AxisStructure, Units, size, unify, units_in

Axes = list[AxisStructure]
"""The structure of each axis of one tensor."""


@dataclass
class Trace:
    """The axes of parameters, buffers and of every value in between."""

    stored: dict[str, Axes]
    """Parameters and stored buffers by name."""
    values: dict[Node, Any] = field(default_factory=dict)
    """Graph node -> axes, or a tuple of them."""
    powers: dict[tuple[str, int], int] = field(default_factory=dict)
    """(tensor, axis) -> how rescaled units act there, for weights and biases of linear maps."""
    odd: set[Node] = field(default_factory=set)
    """Values that flip their signs with their units; all others stay as they are."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Operations without a rule: the axes of their inputs and outputs are fixed."""

    def axes(self, argument: Any) -> Axes:
        """The axes of a node's value."""
        return self.values[argument]

    def name(self, argument: Any) -> str | None:
        """The stored tensor that an argument is, if it is one."""
        return argument.meta.get("stored") if isinstance(argument, Node) else None

    def inputs(self, node: Node) -> Axes:
        """The axes of all tensors that an operation reads."""
        return [
            axis for argument in node.all_input_nodes for axes in tensors_in(self.values[argument]) for axis in axes
        ]

    def all_axes(self) -> Iterator[Axes]:
        """The axes of each tensor, stored ones first."""
        yield from self.stored.values()
        for value in self.values.values():
            yield from tensors_in(value)


def shape_of(node: Any) -> tuple[int, ...]:
    """Shape of a node's value."""
    return tuple(int(n) for n in node.meta["val"].shape)


def argument(node: Node, position: int, name: str, default: Any = None) -> Any:
    """An argument that may be given by position or by name."""
    return node.args[position] if position < len(node.args) else node.kwargs.get(name, default)


def tensors_in(value: Any) -> Iterator[Axes]:
    """The axes of each tensor in a node's value."""
    if isinstance(value, list):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors_in(part)


def fixed_axes(value: Any) -> Any:
    """Axes in a fixed order for a tensor, or for each in a sequence of them."""
    if isinstance(value, Tensor):
        return [Units(int(n), fixed=True) for n in value.shape]
    return tuple(fixed_axes(v) for v in value) if isinstance(value, list | tuple) else None


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
