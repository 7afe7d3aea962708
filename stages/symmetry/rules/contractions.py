"""Sums of products over shared axes: linear maps, matrix products, attention."""

from collections.abc import Sequence

from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import AxisStructure, Units, mark_not_homogeneous, product, size
from stages.symmetry.trace import Axes, Trace, argument, broadcast, tensor_arguments
from stages.symmetry.unification import unify


def by_letters(equation: str, operands: Sequence[Axes]) -> Axes:
    """Axes with the same letter are the same units, as in torch.einsum; "..." are axes that broadcast."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    inputs = terms.split(",")
    letters: dict[str, AxisStructure] = {}
    batch: Axes = []
    for term, axes in zip(inputs, operands, strict=True):
        before, dots, after = term.partition("...")
        named = [*zip(before, axes, strict=False), *zip(after[::-1], reversed(axes), strict=False)]
        for letter, axis in named:
            if letter in letters and size(letters[letter]) == size(axis):
                unify(letters[letter], axis)
            elif letter not in letters or size(letters[letter]) == 1:
                letters[letter] = axis
        if dots:
            batch = broadcast(batch, axes[len(before) : len(axes) - len(after)])
    if not arrow:  # implied: the letters that occur once, in alphabetical order
        result = "..." * ("..." in terms) + "".join(sorted(c for c in letters if terms.count(c) == 1))
    before, dots, after = result.partition("...")
    return [*(letters[c] for c in before), *(batch if dots else ()), *(letters[c] for c in after)]


def contraction(equation: str) -> Rule:
    """The rule of an operation that this equation describes, for its first tensors; any others broadcast with it."""
    count = equation.count(",") + 1

    def rule(t: Trace, node: Node) -> Axes:
        tensors = [t.axes(a) for a in tensor_arguments(node)]
        joined = by_letters(equation, tensors[:count])
        for other in tensors[count:]:
            broadcast(joined, other)
        return joined

    return rule


def added(equation: str) -> Rule:
    """The rule of an operation whose first tensor is added to such a contraction of the others."""

    def rule(t: Trace, node: Node) -> Axes:
        first, *others = (t.axes(a) for a in tensor_arguments(node))
        return broadcast(by_letters(equation, others), first)

    return rule


def linear(t: Trace, node: Node) -> Axes:
    """The map x @ w.T + b."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    unify(x[-1], w[1])
    mark_not_homogeneous(*(x[:-1] if argument(node, "bias") is not None else ()))  # the bias stays as it is
    note_weight(t, node.args[1])
    tie_bias(t, argument(node, "bias"), w[0])
    return [*x[:-1], w[0]]


def note_weight(t: Trace, weight: object, outputs: int = 0, inputs: int = 1) -> None:
    """Note how rescaled units act on a linear map's weight."""
    if name := t.name(weight):
        t.powers |= {(name, outputs): 1, (name, inputs): -1}


def tie_bias(t: Trace, bias: object, outputs: AxisStructure) -> None:
    """A bias has its linear map's outputs."""
    if bias is not None:
        unify(outputs, t.axes(bias)[0])
        if name := t.name(bias):
            t.powers[name, 0] = 1


def matmul(t: Trace, node: Node) -> Axes:
    """Batched matrix product, or one with vectors."""
    a, b = (t.axes(x) for x in node.args[:2])
    rows, columns = "i" * (len(a) > 1), "k" * (len(b) > 1)
    left, right = "..." * len(rows), "..." * len(columns)
    return by_letters(f"{left}{rows}j,{right}j{columns}->{left or right}{rows}{columns}", [a, b])


def einsum(t: Trace, node: Node) -> Axes:
    """What the equation says."""
    return by_letters(str(node.args[0]), [t.axes(a) for a in tensor_arguments(node)])


def attention(t: Trace, node: Node) -> Axes:
    """softmax(q k^T) v over batches and heads: queries and keys share their dimensions, values bring their own."""
    q, k, v = (t.axes(a) for a in node.args[:3])
    for x, y in [*zip(k[:-2], v[:-2], strict=True), (q[-1], k[-1]), (k[-2], v[-2])]:
        unify(x, y)
    for x, y in zip(q[:-2], k[:-2], strict=True):  # grouped queries: several heads read the same keys
        unify(x, product([y, Units(size(x) // size(y))]))
    if isinstance(mask := argument(node, "attn_mask"), Node):
        broadcast([*q[:-1], k[-2]], t.axes(mask))
    return [*q[:-1], v[-1]]


RULES: dict[Rule, str] = {
    linear: "linear",
    matmul: "matmul",
    einsum: "einsum",
    attention: "scaled_dot_product_attention",
    contraction("ij,jk->ik"): "mm",
    contraction("bij,bjk->bik"): "bmm",
    contraction("ij,j->i"): "mv",
    contraction("i,i->"): "dot vdot",
    contraction("i,j->ij"): "outer ger",
    contraction("...i,...j,kij,k->...k"): "bilinear",
    contraction("...id,...jd->...ij"): "cdist _cdist_forward",
    contraction("...d,...d->..."): "pairwise_distance linalg_vecdot",
    added("ij,jk->ik"): "addmm",
    added("bij,bjk->bik"): "baddbmm",
    added("ij,j->i"): "addmv",
    added("i,j->ij"): "addr",
}
