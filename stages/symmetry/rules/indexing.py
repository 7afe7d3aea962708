"""Lookups by number, and operations that read positions in their order."""

from typing import Any

from torch import bool as boolean
from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import INPUT, KERNEL, UNNAMED, Units, fix, reason, size
from stages.symmetry.trace import Axes, Trace, argument, broadcast, fixed_axes, ordered, shape_of
from stages.symmetry.unification import unify


def embedding(t: Trace, node: Node) -> Axes:
    """Rows by number: their order is the vocabulary's."""
    table, ids = t.axes(node.args[0]), t.axes(node.args[1])
    fix(table[0], by=UNNAMED if node.args[1] in t.constants else INPUT)
    return [*ids, *table[1:]]


def index(t: Trace, node: Node) -> Axes:
    """Positions by number along some axes, which are replaced by those of the numbers."""
    x, indices = t.axes(node.args[0]), node.args[1]
    chosen = [i for i, a in enumerate(indices) if a is not None]  # type: ignore[arg-type]
    if any(indices[i].meta["val"].dtype == boolean for i in chosen):  # type: ignore[index, union-attr]
        return unordered(t, node)
    numbers: Axes = []
    for i in chosen:
        fix(x[i])
        numbers = broadcast(numbers, t.axes(indices[i]))  # type: ignore[index]
    kept = [axis for i, axis in enumerate(x) if i not in chosen]
    place = chosen[0] if chosen == list(range(chosen[0], chosen[-1] + 1)) else 0
    return [*kept[:place], *numbers, *kept[place:]]


def index_select(t: Trace, node: Node) -> Axes:
    """Positions by number along one axis."""
    x, numbers = t.axes(node.args[0]), t.axes(node.args[2])
    dim = int(node.args[1]) % len(x)  # type: ignore[call-overload]
    fix(x[dim])
    return [*x[:dim], *(numbers or [Units(1)]), *x[dim + 1 :]]


def gather(t: Trace, node: Node) -> Axes:
    """Positions by number along one axis, element by element along the rest."""
    x, numbers = t.axes(node.args[0]), t.axes(argument(node, "index") or argument(node, "indices"))
    dim = int(argument(node, "dim")) % len(x)
    fix(x[dim])
    for i, (axis, other) in enumerate(zip(x, numbers, strict=True)):
        if i != dim and size(axis) == size(other):
            unify(axis, other)
        elif i != dim:
            fix(axis, other)
    return numbers


def one_hot(t: Trace, node: Node) -> Axes:
    """A new axis by number."""
    return [*t.axes(node.args[0]), Units(shape_of(node)[-1], INPUT)]


def in_order(t: Trace, node: Node) -> Axes:
    """Along some axes positions are read in their order; the others don't matter."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    dims = next((d for name in ("dim", "dims") if (d := argument(node, name)) not in (None, [])), range(len(x)))
    along = {int(d) % len(x) for d in ([dims] if isinstance(dims, int) else dims)}
    return [ordered(axis, n) if i in along else axis for i, (axis, n) in enumerate(zip(x, shape, strict=True))]


def resized(t: Trace, node: Node) -> Axes:
    """Axes that grow or shrink are in a fixed order."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    return [axis if size(axis) == n else ordered(axis, n) for axis, n in zip(x, shape, strict=True)]


def triangle(t: Trace, node: Node) -> Axes:
    """Rows and columns in their order."""
    x = t.axes(node.args[0])
    return [*x[:-2], *(ordered(axis, size(axis)) for axis in x[-2:])]


def windows(t: Trace, node: Node) -> Axes:
    """Overlapping stretches of one axis, the positions in each along a new one."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    dim = int(argument(node, "dimension")) % len(x)
    return [*x[:dim], ordered(x[dim], shape[dim]), *x[dim + 1 :], Units(shape[-1], KERNEL)]


def unordered(t: Trace, node: Node) -> Any:
    """Without a rule, all that the operation touches is fixed: it may depend on any order."""
    inputs = t.inputs(node)
    fix(*(axis for axis in inputs if size(axis) > 1))
    inherited = reason(inputs[0]) if len(inputs) == 1 else None
    return fixed_axes(node.meta.get("val"), inherited or UNNAMED)


RULES: dict[Rule, str] = {
    embedding: "embedding",
    index: "index",
    index_select: "index_select",
    gather: "gather take_along_dim",
    one_hot: "one_hot",
    in_order: "roll flip cumsum cumprod cummax logcumsumexp fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 "
    "fft_rfft2 fft_irfft2 fft_fftn fft_ifftn fft_rfftn fft_irfftn",
    resized: "pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d",
    triangle: "tril triu",
    windows: "unfold",
}
