"""Element by element, with broadcasting."""

from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import Units, size
from stages.symmetry.trace import Axes, Trace, broadcast, shape_of, tensor_arguments
from stages.symmetry.unification import unify


def pointwise(t: Trace, node: Node) -> Axes:
    """Any function of equally placed elements; additions of computed values make a residual stream."""
    tensors = tensor_arguments(node)
    adds = str(node.target).startswith("aten.add") and not any(t.name(a) or a in t.constants for a in tensors)
    x = t.axes(tensors[0])
    for other in tensors[1:]:
        x = broadcast(x, t.axes(other), stream=adds)
    return x


def same(t: Trace, node: Node) -> Axes:
    """Nothing moves."""
    return t.axes(node.args[0])


def prelu(t: Trace, node: Node) -> Axes:
    """One slope for all, or one for each channel."""
    x, slopes = t.axes(node.args[0]), t.axes(node.args[1])
    if slopes and size(slopes[0]) > 1:
        unify(x[min(1, len(x) - 1)], slopes[0])
    return x


def copied(t: Trace, node: Node) -> Axes:
    """The second tensor's values in the first one's shape."""
    return broadcast([Units(n) for n in shape_of(node)], t.axes(node.args[1]))


def filled(t: Trace, node: Node) -> Axes:
    """One value everywhere."""
    del t
    return [Units(n) for n in shape_of(node)]


def nothing(t: Trace, node: Node) -> None:
    """No output: a check of what is known already."""
    del t, node


RULES: dict[Rule, str] = {
    pointwise: "hardswish hardsigmoid hardtanh relu6 silu mish elu celu selu where masked_fill lerp addcmul addcdiv",
    same: "contiguous clone detach alias dropout feature_dropout alpha_dropout to _to_copy type_as lift_fresh_copy "
    "softmax _softmax log_softmax _log_softmax softmin _safe_softmax",
    prelu: "prelu",
    copied: "copy",
    nothing: "_assert_tensor_metadata _assert_async _assert_scalar sym_constrain_range sym_constrain_range_for_size",
    filled: "fill zero zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty zeros ones full "
    "empty",
}
