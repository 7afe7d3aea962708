"""Rules of operations: the structure of an operation's output axes, and what it reveals about its inputs' axes."""

from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from stages.symmetry.structure import (
    Units,
    at,
    concat,
    fix,
    mark_not_homogeneous,
    product,
    reshape,
    segment,
    size,
    unify,
)
from stages.symmetry.trace import Axes, Trace, argument, broadcast, fixed_axes, shape_of

Rule = Callable[[Trace, Node], Any]


def linear(t: Trace, node: Node) -> Axes:
    """The map x @ w.T + b."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    unify(x[-1], w[1])
    mark_not_homogeneous(*(x[:-1] if argument(node, 2, "bias") is not None else ()))  # the bias stays as it is
    _weight_and_bias(t, node)
    return [*x[:-1], w[0]]


def addmm(t: Trace, node: Node) -> Axes:
    """The map b + x @ w."""
    x, w = t.axes(node.args[1]), t.axes(node.args[2])
    unify(x[-1], w[0])
    return broadcast([x[0], w[1]], t.axes(node.args[0]))


def convolution(t: Trace, node: Node) -> Axes:
    """Channels along axis 1; with `groups`, inputs are groups x channels and outputs groups x channels."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    groups = Units(int(argument(node, 6, "groups", 1)))
    unify(x[1], product([groups, w[1]]))
    unify(w[0], product([groups, Units(size(w[0]) // groups.size)]))
    if groups.size > 1:
        mark_not_homogeneous(x[1], w[0])
    _weight_and_bias(t, node)
    return [x[0], w[0], *(Units(n, fixed=True) for n in shape_of(node)[2:])]


def _weight_and_bias(t: Trace, node: Node) -> None:
    """Note the powers of a linear map's weight and bias, and tie its bias to its outputs."""
    weight, bias = node.args[1], argument(node, 2, "bias")
    fix(*t.axes(weight)[2:])  # the kernel's own axes
    if name := t.name(weight):
        t.powers |= {(name, 0): 1, (name, 1): -1}
    if bias is not None:
        unify(t.axes(weight)[0], t.axes(bias)[0])
        if name := t.name(bias):
            t.powers[name, 0] = 1


def batch_norm(t: Trace, node: Node) -> Axes:
    """Every statistic and parameter lies along the channels."""
    return _along_channels(t, t.axes(node.args[0]), node.args[1:5])


def group_norm(t: Trace, node: Node) -> Axes:
    """Channels are groups x channels."""
    x, groups = t.axes(node.args[0]), int(node.args[1])  # type: ignore[call-overload]
    unify(x[1], product([Units(groups), Units(size(x[1]) // groups)]))
    return _along_channels(t, x, node.args[2:4])


def _along_channels(t: Trace, x: Axes, parameters: Iterable[Any]) -> Axes:
    for parameter in parameters:
        if isinstance(parameter, Node):
            unify(x[1], t.axes(parameter)[0])
    return x


def layer_norm(t: Trace, node: Node) -> Axes:
    """Mean and variance over the last axes don't see their order."""
    x, last = t.axes(node.args[0]), len(node.args[1])  # type: ignore[arg-type]
    for other in node.args[2:4]:
        if isinstance(other, Node):
            broadcast(x[-last:], t.axes(other))
    return x


def attention(t: Trace, node: Node) -> Axes:
    """softmax(q k^T) v over batches and heads: queries and keys share their dimensions, values bring their own."""
    q, k, v = (t.axes(a) for a in node.args[:3])
    for x, y in [*zip(q[:-2], k[:-2], strict=True), *zip(q[:-2], v[:-2], strict=True), (q[-1], k[-1]), (k[-2], v[-2])]:
        unify(x, y)
    if isinstance(mask := argument(node, 3, "attn_mask"), Node):
        broadcast([*q[:-1], k[-2]], t.axes(mask))
    return [*q[:-1], v[-1]]


def matmul(t: Trace, node: Node) -> Axes:
    """Batched matrix product."""
    a, b = (t.axes(x) for x in node.args[:2])
    if min(len(a), len(b)) < 2:
        fix(*a, *b)
        return fixed_axes(node.meta.get("val"))
    unify(a[-1], b[-2])
    return [*broadcast(a[:-2], b[:-2]), a[-2], b[-1]]


def pointwise(t: Trace, node: Node) -> Axes:
    """Element by element, with broadcasting."""
    tensors = [a for a in node.args if isinstance(a, Node) and isinstance(a.meta.get("val"), Tensor)]
    adds = str(node.target).startswith("aten.add") and not any(t.name(a) for a in tensors)
    x = t.axes(tensors[0])
    for other in tensors[1:]:
        x = broadcast(x, t.axes(other), stream=adds)
    return x


def same(t: Trace, node: Node) -> Axes:
    """Nothing moves."""
    return t.axes(node.args[0])


def view(t: Trace, node: Node) -> Axes:
    """Another shape of the same values in the same order."""
    return reshape(t.axes(node.args[0]), shape_of(node))


def transpose(t: Trace, node: Node) -> Axes:
    """Two axes change places."""
    x = list(t.axes(node.args[0]))
    i, j = (int(a) for a in node.args[1:3]) if len(node.args) > 2 else (0, 1)  # type: ignore[call-overload]
    x[i], x[j] = x[j], x[i]
    return x


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
    tensors: list[Axes] = [t.axes(a) for a in node.args[0]]  # type: ignore[union-attr]
    dim = int(argument(node, 1, "dim", 0)) % len(tensors[0])
    for other in tensors[1:]:
        for i in range(len(other)):
            if i != dim:
                unify(tensors[0][i], other[i])
    return [*tensors[0][:dim], concat([x[dim] for x in tensors]), *tensors[0][dim + 1 :]]


def stack(t: Trace, node: Node) -> Axes:
    """Element by element, along a new axis in a fixed order."""
    tensors: list[Axes] = [t.axes(a) for a in node.args[0]]  # type: ignore[union-attr]
    x = tensors[0]
    for other in tensors[1:]:
        x = broadcast(x, other)
    dim = int(argument(node, 1, "dim", 0)) % (len(x) + 1)
    return [*x[:dim], Units(len(tensors), fixed=True), *x[dim:]]


def split(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Consecutive pieces of one axis."""
    x = t.axes(node.args[0])
    dim = int(argument(node, 2, "dim", 0)) % len(x)
    ends = list(accumulate((int(piece.shape[dim]) for piece in node.meta["val"]), initial=0))
    return tuple([*x[:dim], segment(x[dim], start, stop), *x[dim + 1 :]] for start, stop in pairwise(ends))


def unbind(t: Trace, node: Node) -> tuple[Axes, ...]:
    """Every position of one axis on its own."""
    dim = int(argument(node, 1, "dim", 0))
    return tuple(_position(t, node, dim, i) for i in range(len(node.meta["val"])))


def select(t: Trace, node: Node) -> Axes:
    """One position of one axis."""
    return _position(t, node, int(node.args[1]), int(node.args[2]))  # type: ignore[call-overload]


def _position(t: Trace, node: Node, dim: int, position: int) -> Axes:
    x, readers = t.axes(node.args[0]), node.args[0].users  # type: ignore[union-attr]
    return at(x, dim % len(x), position, shared=not all(_reads_positions(reader, dim % len(x)) for reader in readers))


def _reads_positions(node: Node, dim: int) -> bool:
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
    mark_not_homogeneous(*(x[i] for i in gone))
    kept = len(shape_of(node)) == len(x)
    return [Units(1, fixed=True) if i in gone else axis for i, axis in enumerate(x) if kept or i not in gone]


def window(t: Trace, node: Node) -> Axes:
    """Pooling and resizing: batch and channels stay, positions in the image are in a fixed order."""
    x = t.axes(node.args[0])
    fix(*x[2:])
    return [*x[:2], *(Units(n, fixed=True) for n in shape_of(node)[2:])]


def pad(t: Trace, node: Node) -> Axes:
    """Axes that grow are in a fixed order."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    fix(*(axis for axis, n in zip(x, shape, strict=True) if size(axis) != n))
    return [axis if size(axis) == n else Units(n, fixed=True) for axis, n in zip(x, shape, strict=True)]


def embedding(t: Trace, node: Node) -> Axes:
    """Rows by number: their order is the vocabulary's."""
    table, ids = t.axes(node.args[0]), t.axes(node.args[1])
    fix(table[0])
    return [*ids, table[1]]


def constant(t: Trace, node: Node) -> Any:
    """Made from nothing."""
    del t
    return fixed_axes(node.meta.get("val"))


RULES: dict[Rule, str] = {
    linear: "linear",
    addmm: "addmm",
    convolution: "conv1d conv2d conv3d",
    batch_norm: "batch_norm",
    layer_norm: "layer_norm rms_norm",
    group_norm: "group_norm",
    attention: "scaled_dot_product_attention",
    matmul: "matmul bmm",
    embedding: "embedding",
    view: "view reshape _unsafe_view flatten unflatten squeeze unsqueeze",
    transpose: "transpose swapaxes t",
    permute: "permute",
    expand: "expand",
    cat: "cat concat",
    stack: "stack",
    split: "split split_with_sizes chunk tensor_split",
    unbind: "unbind",
    select: "select",
    slices: "slice",
    pad: "pad constant_pad_nd",
    same: "contiguous clone detach alias dropout feature_dropout alpha_dropout to _to_copy type_as lift_fresh_copy "
    "softmax _softmax log_softmax",
    reduce: "mean sum amax amin var std",
    window: "max_pool1d avg_pool1d adaptive_avg_pool1d max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d "
    "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d",
    constant: "arange full zeros ones empty eye scalar_tensor full_like zeros_like ones_like new_ones new_zeros "
    "new_full _assert_tensor_metadata",
    pointwise: "hardswish hardsigmoid hardtanh relu6 silu mish elu celu selu",
}
"""Rule -> its operations. What torch tags as pointwise needs no entry; the ones listed it doesn't tag."""
HOMOGENEOUS = (
    "linear conv1d conv2d conv3d relu dropout view reshape flatten transpose permute contiguous clone max_pool2d "
    "avg_pool2d adaptive_avg_pool2d mean sum cat squeeze unsqueeze"
)
"""The operations that commute with a positive rescaling of units (linear maps with the powers noted)."""


def rule_for(operation: str, target: Any) -> Rule | None:
    """The rule of an operation of this name, None if there is none."""
    rule = next((rule for rule, names in RULES.items() if operation in names.split()), None)
    return pointwise if rule is None and torch.Tag.pointwise in getattr(target, "tags", ()) else rule
