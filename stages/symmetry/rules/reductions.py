"""Sums, means, extremes and the like, which don't see the order of what they run over."""

from collections.abc import Collection

from torch.fx import Node

from stages.symmetry.rules.elementwise import pointwise
from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import UNNAMED, Units, fix, mark_not_homogeneous, reason
from stages.symmetry.trace import Axes, Trace, argument, shape_of


def reduce(t: Trace, node: Node) -> Axes:
    """Axes that go, or that one position stays of."""
    x = t.axes(node.args[0])
    dims = argument(node, "dim")
    wanted = range(len(x)) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    gone = {int(d) % len(x) for d in wanted} if x else set()
    return _without(x, gone, kept=len(shape_of(node)) == len(x))


def _without(x: Axes, gone: Collection[int], kept: bool) -> Axes:
    mark_not_homogeneous(*(x[i] for i in gone))
    return [Units(1) if i in gone else axis for i, axis in enumerate(x) if kept or i not in gone]


def place_of_extreme(t: Trace, node: Node) -> Axes:
    """The number of a position, which its order gives."""
    x, dim = t.axes(node.args[0]), argument(node, "dim")
    fix(*(x if dim is None else [x[int(dim)]]))
    return _without(x, range(len(x)) if dim is None else {int(dim) % len(x)}, kept=len(shape_of(node)) == len(x))


def extremes(t: Trace, node: Node) -> Axes | tuple[Axes, Axes]:
    """Values with the numbers of their positions; without those no order matters, and ranks have their own."""
    if argument(node, "other") is not None:
        return pointwise(t, node)
    if argument(node, "dim") is None:  # over everything, without numbers
        return reduce(t, node)
    x, dim = t.axes(node.args[0]), int(argument(node, "dim")) % len(t.axes(node.args[0]))
    if any(user.args[1] == 1 and user.users for user in node.users):
        fix(x[dim])
    shape = tuple(node.meta["val"][0].shape)
    if len(shape) < len(x) or shape[dim] == 1:
        found = _without(x, {dim}, kept=len(shape) == len(x))
    else:
        found = [*x[:dim], Units(shape[dim], reason(x[dim]) or UNNAMED), *x[dim + 1 :]]
    return found, found


RULES: dict[Rule, str] = {
    reduce: "mean sum amax amin var std prod all any logsumexp nansum nanmean norm linalg_vector_norm count_nonzero",
    place_of_extreme: "argmax argmin",
    extremes: "max min topk sort kthvalue median mode",
}
