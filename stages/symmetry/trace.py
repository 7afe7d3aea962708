"""What is known, while a network's graph is read, about the units along every axis of every tensor."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.fx import Node

from stages.symmetry.extent import Extent, Units, sets, size, unify

Axes = list[Extent]
"""What lies along each axis of one tensor."""


@dataclass
class Trace:
    """The extents of parameters, buffers and of every value in between."""

    stored: dict[str, Axes]
    """Parameters and stored buffers by name."""
    values: dict[Node, Any] = field(default_factory=dict)
    """Graph node -> axes, or a tuple of them."""
    powers: dict[tuple[str, int], int] = field(default_factory=dict)
    """(tensor, axis) -> how rescaled units act there, for weights and biases of linear maps."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Operations without a rule: all that they touch keeps its order."""

    def axes(self, argument: Any) -> Axes:
        """What lies along the axes of a node's value."""
        return self.values[argument]

    def name(self, argument: Any) -> str | None:
        """The stored tensor that an argument is, if it is one."""
        return argument.meta.get("stored") if isinstance(argument, Node) else None

    def everything(self) -> Iterator[Axes]:
        """The axes of all tensors."""
        yield from self.stored.values()
        for value in self.values.values():
            yield from tensors_in(value)


def tensors_in(value: Any) -> Iterator[Axes]:
    """The axes of the tensors in a node's value."""
    if isinstance(value, list):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors_in(part)


def given(node: Node) -> Any:
    """Axes in a fixed order, of the shapes that a node's value has."""
    return _map_shapes(node.meta.get("val"))


def _map_shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return [Units(int(n), fixed=True) for n in value.shape]
    return tuple(_map_shapes(v) for v in value) if isinstance(value, list | tuple) else None


def inputs_of(found: Trace, node: Node) -> list[Extent]:
    """The extents of all tensors that an operation reads."""
    return [e for argument in node.all_input_nodes for axes in tensors_in(found.values[argument]) for e in axes]


HOMOGENEOUS = frozenset(
    {
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "relu",
        "dropout",
        "view",
        "reshape",
        "flatten",
        "transpose",
        "permute",
        "contiguous",
        "clone",
        "max_pool2d",
        "avg_pool2d",
        "adaptive_avg_pool2d",
        "mean",
        "sum",
        "cat",
        "squeeze",
        "unsqueeze",
    }
)
"""Operations that commute with a positive rescaling of units (linear maps with the powers noted)."""


def spoil(extents: Iterable[Extent]) -> None:
    """Say that units can't be rescaled any more."""
    for extent in extents:
        for units in sets(extent):
            units.homogeneous = False


def join(a: Axes, b: Axes, stream: bool = False) -> Axes:
    """The axes of two tensors combined element by element, with broadcasting; `stream` marks what both have."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    found = list(longer)
    for i in range(1, len(shorter) + 1):
        x, y = longer[-i], shorter[-i]
        if size(x) == size(y):
            unify(x, y)
            for units in sets(x) if stream else ():
                units.stream = True
        elif size(x) == 1:
            found[-i] = y
    return found
