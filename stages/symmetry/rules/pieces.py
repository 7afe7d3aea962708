"""Tensors put together along an axis, and taken apart."""

from itertools import accumulate, pairwise

from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import UNNAMED, AxisStructure, Units, concat, reason, size
from stages.symmetry.trace import Axes, Trace, argument, broadcast, dimension, ordered, shape_of
from stages.symmetry.unification import at, leading_factor, segment, unify


def cat(t: Trace, node: Node) -> Axes:
    """One after the other along one axis, element by element along the rest."""
    tensors = [axes for a in node.args[0] if size_of(axes := t.axes(a))]  # type: ignore[union-attr]
    dim = dimension(node, "dim", len(tensors[0]))
    for other in tensors[1:]:
        _unify_but(dim, tensors[0], other)
    return [*tensors[0][:dim], concat([x[dim] for x in tensors]), *tensors[0][dim + 1 :]]


def size_of(axes: Axes) -> int:
    """Number of elements; torch lets empty tensors of any shape be concatenated."""
    return min((size(axis) for axis in axes), default=1)


def _unify_but(dim: int, x: Axes, other: Axes) -> None:
    """Make all axes the same but this one."""
    for i in range(len(x)):
        if i != dim:
            unify(x[i], other[i])


def stack(t: Trace, node: Node) -> Axes:
    """Element by element, along a new axis in a fixed order."""
    tensors: list[Axes] = [t.axes(a) for a in node.args[0]]  # type: ignore[union-attr]
    x = tensors[0]
    for other in tensors[1:]:
        x = broadcast(x, other)
    dim = dimension(node, "dim", len(x) + 1)
    return [*x[:dim], Units(len(tensors), UNNAMED), *x[dim:]]


def split(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Consecutive pieces of one axis."""
    x = t.axes(node.args[0])
    dim = dimension(node, "dim", len(x))
    ends = list(accumulate((int(piece.shape[dim]) for piece in node.meta["val"]), initial=0))
    return tuple([*x[:dim], segment(x[dim], start, stop), *x[dim + 1 :]] for start, stop in pairwise(ends))


def glu(t: Trace, node: Node) -> Axes:
    """The first half of an axis, gated by the second."""
    x = t.axes(node.args[0])
    dim = dimension(node, "dim", len(x))
    half = size(x[dim]) // 2
    values, gates = segment(x[dim], 0, half), segment(x[dim], half, 2 * half)
    unify(values, gates)
    return [*x[:dim], values, *x[dim + 1 :]]


def unbind(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Every position of one axis on its own."""
    dim = int(argument(node, "dim"))
    return tuple(_position(t, node, dim, i) for i in range(len(node.meta["val"])))


def select(t: Trace, node: Node) -> Axes:
    """One position of one axis."""
    return _position(t, node, int(argument(node, "dim")), int(argument(node, "index")))


def _position(t: Trace, node: Node, dim: int, position: int) -> Axes:
    x, readers = t.axes(node.args[0]), node.args[0].users  # type: ignore[union-attr]
    return at(x, dim % len(x), position, shared=not all(_reads_positions(reader, dim % len(x)) for reader in readers))


def _reads_positions(node: Node, dim: int) -> bool:
    """Whether an operation reads its input one position of this axis at a time."""
    if not str(node.target).startswith(("aten.select.", "aten.unbind.")):
        return False
    return dimension(node, "dim", len(shape_of(node.args[0]))) == dim


def slices(t: Trace, node: Node) -> Axes:
    """A stretch of one axis, or every so many positions of it."""
    x, length = t.axes(node.args[0]), shape_of(node)
    dim = dimension(node, "dim", len(x))
    start, step = _start(node, size(x[dim])), int(argument(node, "step"))
    return [*x[:dim], _taken(x[dim], start, step, length[dim]), *x[dim + 1 :]]


def narrow(t: Trace, node: Node) -> Axes:
    """A stretch of one axis."""
    x, length = t.axes(node.args[0]), shape_of(node)
    dim = dimension(node, "dim", len(x))
    return [*x[:dim], _taken(x[dim], _start(node, size(x[dim])), 1, length[dim]), *x[dim + 1 :]]


def _start(node: Node, length: int) -> int:
    start = int(argument(node, "start") or 0)
    return min(start if start >= 0 else start + length, length)


def _taken(axis: AxisStructure, start: int, step: int, length: int) -> AxisStructure:
    if length == size(axis):
        return axis
    if step == 1:
        return segment(axis, start, start + length)
    halves = leading_factor(axis, size(axis) // step) if size(axis) == step * length else None
    if halves is None:
        return ordered(axis, length)
    ordered(halves[1], 1)  # which of every `step` positions
    return halves[0]


def slice_scatter(t: Trace, node: Node) -> Axes:
    """A tensor with a stretch of one axis replaced."""
    x, new = t.axes(node.args[0]), t.axes(node.args[1])
    dim, length = dimension(node, "dim", len(x)), shape_of(node)
    _unify_but(dim, x, new)
    if size(new[dim]) == size(x[dim]):
        return new
    if int(argument(node, "step")) != 1:
        return [*x[:dim], ordered(x[dim], length[dim], reason(new[dim]) or UNNAMED), *x[dim + 1 :]]
    start = _start(node, length[dim])
    stop = start + size(new[dim])
    around = [segment(x[dim], a, b) if b > a else Units(0) for a, b in ((0, start), (stop, length[dim]))]
    return [*x[:dim], concat([around[0], new[dim], around[1]]), *x[dim + 1 :]]


def select_scatter(t: Trace, node: Node) -> Axes:
    """A tensor with one position of one axis replaced."""
    x, new = t.axes(node.args[0]), t.axes(node.args[1])
    dim = dimension(node, "dim", len(x))
    broadcast([*x[:dim], *x[dim + 1 :]], new)
    return [*x[:dim], ordered(x[dim], size(x[dim])), *x[dim + 1 :]]


RULES: dict[Rule, str] = {
    cat: "cat concat concatenate",
    stack: "stack",
    split: "split split_with_sizes chunk tensor_split unsafe_chunk unsafe_split",
    glu: "glu",
    unbind: "unbind",
    select: "select",
    slices: "slice",
    narrow: "narrow",
    slice_scatter: "slice_scatter",
    select_scatter: "select_scatter",
}
