"""The same values in another shape, order of axes, or repeated."""

from typing import Any

from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import KERNEL, Units, fix, product, size
from stages.symmetry.trace import Axes, Trace, argument, dimension, shape_of
from stages.symmetry.unification import reshape, unify


def view(t: Trace, node: Node) -> Axes:
    """Another shape of the same values in the same order."""
    return reshape(t.axes(node.args[0]), shape_of(node))


def transpose(t: Trace, node: Node) -> Axes:
    """Two axes change places: the last two where none are named."""
    x = list(t.axes(node.args[0]))
    i, j = (int(a) for a in node.args[1:3]) if len(node.args) > 2 else (-2, -1)  # type: ignore[call-overload]
    if len(x) > 1:
        x[i], x[j] = x[j], x[i]
    return x


def permute(t: Trace, node: Node) -> Axes:
    """Axes in another order."""
    x = t.axes(node.args[0])
    return [x[int(i)] for i in node.args[1]]  # type: ignore[union-attr, call-overload]


def reverse(t: Trace, node: Node) -> Axes:
    """All axes in the opposite order."""
    return t.axes(node.args[0])[::-1]


def movedim(t: Trace, node: Node) -> Axes:
    """Some axes in other places, the rest in their order."""
    x = t.axes(node.args[0])
    source, target = ([i % len(x) for i in _numbers(dims)] for dims in node.args[1:3])
    rest = iter(axis for i, axis in enumerate(x) if i not in source)
    return [x[source[target.index(i)]] if i in target else next(rest) for i in range(len(x))]


def _numbers(dims: Any) -> list[int]:
    return [int(i) for i in (dims if isinstance(dims, list | tuple) else [dims])]


def expand(t: Trace, node: Node) -> Axes:
    """Axes of length 1 are repeated: the copies are alike, in any order."""
    shape, x = shape_of(node), t.axes(node.args[0])
    padded = [*(Units(1) for _ in range(len(shape) - len(x))), *x]
    return [e if size(e) == n else Units(n) for e, n in zip(padded, shape, strict=True)]


def repeat(t: Trace, node: Node) -> Axes:
    """Copies of the whole axis, one after the other."""
    shape, x = shape_of(node), t.axes(node.args[0])
    padded = [*(Units(1) for _ in range(len(shape) - len(x))), *x]
    return [product([Units(n // size(e)), e]) for e, n in zip(padded, shape, strict=True)]


def repeat_interleave(t: Trace, node: Node) -> Axes:
    """Copies of each position, one after the other."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    if argument(node, "dim") is None:
        return [product([*x, Units(shape[0] // size(product(x)))])]
    return [product([e, Units(n // size(e))]) for e, n in zip(x, shape, strict=True)]


def channel_shuffle(t: Trace, node: Node) -> Axes:
    """Channels groups x channels become channels x groups."""
    x, groups = t.axes(node.args[0]), Units(int(argument(node, "groups")))
    channels = Units(size(x[1]) // groups.size)
    unify(x[1], product([groups, channels]))
    return [x[0], product([channels, groups]), *x[2:]]


def meshgrid(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Each tensor along its own axis, repeated along those of the others."""
    axes = [t.axes(a)[0] for a in node.args[0]]  # type: ignore[union-attr]
    own = range(len(axes)) if argument(node, "indexing") != "xy" else [1, 0, *range(2, len(axes))]
    return tuple([axes[i] if k == own[i] else Units(size(axes[own.index(k)])) for k in range(len(axes))] for i in own)


def as_pairs(t: Trace, node: Node) -> Axes:
    """Complex numbers as real and imaginary parts."""
    return [*t.axes(node.args[0]), Units(2, KERNEL)]


def from_pairs(t: Trace, node: Node) -> Axes:
    """The inverse."""
    x = t.axes(node.args[0])
    fix(x[-1], by=KERNEL)
    return x[:-1]


def diagonal(t: Trace, node: Node) -> Axes:
    """Equal positions of two axes."""
    x = t.axes(node.args[0])
    i, j = dimension(node, "dim1", len(x)), dimension(node, "dim2", len(x))
    if int(argument(node, "offset")) or size(x[i]) != size(x[j]):
        fix(x[i], x[j])
        return [*(e for k, e in enumerate(x) if k not in (i, j)), Units(shape_of(node)[-1], "")]
    unify(x[i], x[j])
    return [*(e for k, e in enumerate(x) if k not in (i, j)), x[i]]


RULES: dict[Rule, str] = {
    view: "view view_as reshape reshape_as _unsafe_view _reshape_alias flatten unflatten squeeze unsqueeze ravel",
    transpose: "transpose swapaxes swapdims t mT mH adjoint",
    permute: "permute",
    reverse: "numpy_T",
    movedim: "movedim moveaxis",
    expand: "expand expand_as broadcast_to",
    repeat: "repeat tile",
    repeat_interleave: "repeat_interleave",
    channel_shuffle: "channel_shuffle native_channel_shuffle",
    meshgrid: "meshgrid",
    as_pairs: "view_as_real",
    from_pairs: "view_as_complex",
    diagonal: "diagonal",
}
