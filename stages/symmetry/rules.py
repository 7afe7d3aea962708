"""What each operation of a graph says about the units along its tensors' axes: one small function per kind."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from stages.symmetry.extent import (
    Extent,
    Units,
    concat,
    fix,
    product,
    reshape,
    resolve,
    segment,
    size,
    take_apart,
    taken,
    unify,
)
from stages.symmetry.trace import Axes, Trace, given, join, spoil

Rule = Callable[[Trace, Node], Any]


def shape_of(node: Any) -> tuple[int, ...]:
    """Shape of a node's value."""
    return tuple(int(n) for n in node.meta["val"].shape)


def argument(node: Node, position: int, name: str, default: Any = None) -> Any:
    """An argument that may be given by position or by name."""
    return node.args[position] if position < len(node.args) else node.kwargs.get(name, default)


def linear(t: Trace, node: Node) -> Axes:
    """The map x @ w.T + b."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    unify(x[-1], w[1])
    _weighs(t, node, incoming=0, outgoing=1)
    return [*x[:-1], w[0]]


def addmm(t: Trace, node: Node) -> Axes:
    """The map b + x @ w."""
    x, w = t.axes(node.args[1]), t.axes(node.args[2])
    unify(x[-1], w[0])
    return join([x[0], w[1]], t.axes(node.args[0]))


def convolution(t: Trace, node: Node) -> Axes:
    """Channels along axis 1; with `groups`, inputs are groups x channels and outputs groups x channels."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    groups = Units(int(argument(node, 6, "groups", 1)))
    unify(x[1], product([groups, w[1]]))
    unify(w[0], product([groups, Units(size(w[0]) // groups.size)]))
    if groups.size > 1:
        spoil([x[1], w[0]])
    _weighs(t, node, incoming=0, outgoing=1)
    return [x[0], w[0], *(Units(n, fixed=True) for n in shape_of(node)[2:])]


def _weighs(t: Trace, node: Node, incoming: int, outgoing: int) -> None:
    """Note the powers of a linear map's weight and bias, and tie its bias to its outputs."""
    weight, bias = node.args[1], argument(node, 2, "bias")
    fix(*t.axes(weight)[2:])  # the kernel's own axes
    if name := t.name(weight):
        t.powers |= {(name, incoming): 1, (name, outgoing): -1}
    if bias is not None:
        unify(t.axes(weight)[incoming], t.axes(bias)[0])
        if name := t.name(bias):
            t.powers[name, 0] = 1


def batch_norm(t: Trace, node: Node) -> Axes:
    """Every statistic and parameter lies along the channels."""
    x = t.axes(node.args[0])
    for other in node.args[1:5]:
        if isinstance(other, Node):
            unify(x[1], t.axes(other)[0])
    return x


def layer_norm(t: Trace, node: Node) -> Axes:
    """Mean and variance over the last axes don't see their order."""
    x, last = t.axes(node.args[0]), len(node.args[1])  # type: ignore[arg-type]
    for other in node.args[2:4]:
        if isinstance(other, Node):
            join(x[-last:], t.axes(other))
    return x


def group_norm(t: Trace, node: Node) -> Axes:
    """Channels are groups x channels."""
    x, groups = t.axes(node.args[0]), int(node.args[1])  # type: ignore[call-overload]
    unify(x[1], product([Units(groups), Units(size(x[1]) // groups)]))
    for other in node.args[2:4]:
        if isinstance(other, Node):
            unify(x[1], t.axes(other)[0])
    return x


def attention(t: Trace, node: Node) -> Axes:
    """softmax(q k^T) v over batches and heads: queries and keys share their dimensions, values bring their own."""
    q, k, v = (t.axes(a) for a in node.args[:3])
    for x, y in [*zip(q[:-2], k[:-2], strict=True), *zip(q[:-2], v[:-2], strict=True), (q[-1], k[-1]), (k[-2], v[-2])]:
        unify(x, y)
    if isinstance(mask := argument(node, 3, "attn_mask"), Node):
        join([*q[:-1], k[-2]], t.axes(mask))
    return [*q[:-1], v[-1]]


def matmul(t: Trace, node: Node) -> Axes:
    """Batched matrix product."""
    a, b = (t.axes(x) for x in node.args[:2])
    if min(len(a), len(b)) < 2:
        fix(*a, *b)
        return given(node)
    unify(a[-1], b[-2])
    return [*join(a[:-2], b[:-2]), a[-2], b[-1]]


def pointwise(t: Trace, node: Node) -> Axes:
    """Element by element, with broadcasting."""
    tensors = [a for a in node.args if isinstance(a, Node) and isinstance(a.meta.get("val"), Tensor)]
    adds = str(node.target).startswith("aten.add") and not any(t.name(a) for a in tensors)
    found = t.axes(tensors[0])
    for other in tensors[1:]:
        found = join(found, t.axes(other), stream=adds)
    return found


def same(t: Trace, node: Node) -> Axes:
    """Nothing moves."""
    return t.axes(node.args[0])


def view(t: Trace, node: Node) -> Axes:
    """Another shape of the same values in the same order."""
    return reshape(t.axes(node.args[0]), shape_of(node))


def transpose(t: Trace, node: Node) -> Axes:
    """Two axes change places."""
    found = list(t.axes(node.args[0]))
    i, j = (int(a) for a in node.args[1:3]) if len(node.args) > 2 else (0, 1)  # type: ignore[call-overload]
    found[i], found[j] = found[j], found[i]
    return found


def permute(t: Trace, node: Node) -> Axes:
    """Axes in another order."""
    return [t.axes(node.args[0])[int(i)] for i in node.args[1]]  # type: ignore[union-attr, call-overload]


def expand(t: Trace, node: Node) -> Axes:
    """Axes of length 1 are repeated."""
    shape, x = shape_of(node), t.axes(node.args[0])
    padded = [Units(1, fixed=True)] * (len(shape) - len(x)) + x
    return [e if size(e) == n else Units(n, fixed=True) for e, n in zip(padded, shape, strict=True)]


def cat(t: Trace, node: Node) -> Axes:
    """One after the other along one axis, element by element along the rest."""
    parts: list[Axes] = [t.axes(a) for a in node.args[0]]  # type: ignore[union-attr]
    dim = int(argument(node, 1, "dim", 0)) % len(parts[0])
    found = list(parts[0])
    for other in parts[1:]:
        for i in range(len(found)):
            if i != dim:
                unify(found[i], other[i])
    found[dim] = concat([p[dim] for p in parts])
    return found


def stack(t: Trace, node: Node) -> Axes:
    """Element by element, along a new axis in a fixed order."""
    parts: list[Axes] = [t.axes(a) for a in node.args[0]]  # type: ignore[union-attr]
    found = parts[0]
    for other in parts[1:]:
        found = join(found, other)
    dim = int(argument(node, 1, "dim", 0)) % (len(found) + 1)
    return [*found[:dim], Units(len(parts), fixed=True), *found[dim:]]


def split(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Consecutive parts of one axis."""
    x = t.axes(node.args[0])
    dim = int(argument(node, 2, "dim", 0)) % len(x)
    found, start = [], 0
    for part in node.meta["val"]:
        stop = start + int(part.shape[dim])
        found.append([*x[:dim], segment(x[dim], start, stop), *x[dim + 1 :]])
        start = stop
    return tuple(found)


def unbind(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Every position of one axis on its own."""
    dim = int(argument(node, 1, "dim", 0))
    return tuple(_position(t, node, dim, i) for i in range(len(node.meta["val"])))


def select(t: Trace, node: Node) -> Axes:
    """One position of one axis."""
    return _position(t, node, int(node.args[1]), int(node.args[2]))  # type: ignore[call-overload]


def _position(t: Trace, node: Node, dim: int, position: int) -> Axes:
    """What is left once an axis is fixed at one position.

    Where nothing else reads the whole (a fused projection, cut into queries, keys and values), units inside the axis
    are different ones at each position.
    """
    x = t.axes(node.args[0])
    dim %= len(x)
    units, others = resolve(x[dim]), [*x[:dim], *x[dim + 1 :]]
    readers = node.args[0].users  # type: ignore[union-attr]
    if not isinstance(units, Units) or not units.inner or not all(_takes_positions(user, dim) for user in readers):
        fix(x[dim])
        return others
    take_apart(units)
    return [taken(e, units, position % units.size) for e in others]


def _takes_positions(node: Node, dim: int) -> bool:
    """Whether an operation reads its input one position of this axis at a time."""
    axis = argument(node, 1, "dim", 0)
    return str(node.target).startswith(("aten.select.", "aten.unbind.")) and axis % len(shape_of(node.args[0])) == dim


def slices(t: Trace, node: Node) -> Axes:
    """A stretch of one axis."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    dim = int(argument(node, 1, "dim", 0)) % len(x)
    start, step, length = argument(node, 2, "start") or 0, argument(node, 4, "step", 1), size(x[dim])
    if shape[dim] == length:
        return x
    if step != 1:
        fix(x[dim])
        return [*x[:dim], Units(shape[dim], fixed=True), *x[dim + 1 :]]
    start = start % length
    return [*x[:dim], segment(x[dim], start, start + shape[dim]), *x[dim + 1 :]]


def reduce(t: Trace, node: Node) -> Axes:
    """Means, sums and extremes don't see the order of what they run over."""
    x = t.axes(node.args[0])
    dims = argument(node, 1, "dim")
    wanted = range(len(x)) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    gone = {int(d) % len(x) for d in wanted}
    kept = len(shape_of(node)) == len(x)
    one: Extent = Units(1, fixed=True)
    return [one if i in gone else e for i, e in enumerate(x) if kept or i not in gone]


def window(t: Trace, node: Node) -> Axes:
    """Pooling and resizing: batch and channels stay, places in the image are in a fixed order."""
    x = t.axes(node.args[0])
    fix(*x[2:])
    return [*x[:2], *(Units(n, fixed=True) for n in shape_of(node)[2:])]


def pad(t: Trace, node: Node) -> Axes:
    """Axes that grow are in a fixed order."""
    found: Axes = []
    for e, n in zip(t.axes(node.args[0]), shape_of(node), strict=True):
        if size(e) != n:
            fix(e)
        found.append(e if size(e) == n else Units(n, fixed=True))
    return found


def embedding(t: Trace, node: Node) -> Axes:
    """Rows by number: their order is the vocabulary's."""
    table, ids = t.axes(node.args[0]), t.axes(node.args[1])
    fix(table[0])
    return [*ids, table[1]]


def constant(t: Trace, node: Node) -> Any:
    """Made from nothing."""
    del t
    return given(node)


RULES: dict[str, Rule] = {
    "linear": linear,
    "addmm": addmm,
    "conv1d": convolution,
    "conv2d": convolution,
    "conv3d": convolution,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": layer_norm,
    "group_norm": group_norm,
    "scaled_dot_product_attention": attention,
    "matmul": matmul,
    "bmm": matmul,
    "embedding": embedding,
    "view": view,
    "reshape": view,
    "_unsafe_view": view,
    "flatten": view,
    "unflatten": view,
    "squeeze": view,
    "unsqueeze": view,
    "transpose": transpose,
    "swapaxes": transpose,
    "t": transpose,
    "permute": permute,
    "expand": expand,
    "cat": cat,
    "concat": cat,
    "stack": stack,
    "split": split,
    "split_with_sizes": split,
    "chunk": split,
    "tensor_split": split,
    "unbind": unbind,
    "select": select,
    "slice": slices,
    "pad": pad,
    "constant_pad_nd": pad,
    "contiguous": same,
    "clone": same,
    "detach": same,
    "alias": same,
    "dropout": same,
    "feature_dropout": same,
    "alpha_dropout": same,
    "to": same,
    "_to_copy": same,
    "type_as": same,
    "lift_fresh_copy": same,
    "softmax": same,
    "_softmax": same,
    "log_softmax": same,
    "mean": reduce,
    "sum": reduce,
    "amax": reduce,
    "amin": reduce,
    "var": reduce,
    "std": reduce,
    "max_pool1d": window,
    "avg_pool1d": window,
    "adaptive_avg_pool1d": window,
    "max_pool2d": window,
    "avg_pool2d": window,
    "adaptive_avg_pool2d": window,
    "adaptive_max_pool2d": window,
    "upsample_nearest2d": window,
    "upsample_bilinear2d": window,
    "upsample_bicubic2d": window,
    "arange": constant,
    "full": constant,
    "zeros": constant,
    "ones": constant,
    "empty": constant,
    "eye": constant,
    "scalar_tensor": constant,
    "full_like": constant,
    "zeros_like": constant,
    "ones_like": constant,
    "new_ones": constant,
    "new_zeros": constant,
    "new_full": constant,
    "_assert_tensor_metadata": constant,
}
"""Operation -> its rule. What torch itself tags as pointwise needs none here, but it doesn't tag these."""
RULES |= dict.fromkeys(
    ["hardswish", "hardsigmoid", "hardtanh", "relu6", "silu", "mish", "elu", "celu", "selu"], pointwise
)


def rule_for(name: str, target: Any) -> Rule | None:
    """The rule of an operation, None if there is none."""
    if name in RULES:
        return RULES[name]
    return pointwise if torch.Tag.pointwise in getattr(target, "tags", ()) else None
