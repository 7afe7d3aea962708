"""Odd functions: which values flip their sign with their units, so that units may flip.

A linear map's outputs flip where its rows and its biases do; what reads them must flip, too, or not see it at all:
tanh(-x) = -tanh(x), and |-x| = |x|. Everything else ends the symmetry of the units that it touches.
"""

from operator import getitem
from typing import Any

from torch import Tensor
from torch.fx import Node

from stages.symmetry.structure import AxisStructure, Units, mark_not_odd, units_in
from stages.symmetry.trace import Trace, argument, shape_of, tensors_in

LINEAR = "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution"
ODD = (
    "tanh sin tan sinh atan asinh asin atanh erf erfinv neg reciprocal softshrink hardshrink sign alias clone "
    "contiguous detach dropout to _to_copy type_as view reshape flatten unflatten squeeze unsqueeze transpose t "
    "permute expand repeat select slice split split_with_sizes chunk unbind avg_pool1d avg_pool2d adaptive_avg_pool1d "
    "adaptive_avg_pool2d"
)
"""f(-x) = -f(x), element by element; and values moved, or averaged over positions."""
EVEN = "abs cos cosh square"
"""f(-x) = f(x)."""


def note_parity(trace: Trace, node: Node, operation: str, value: Any) -> None:
    """Note whether an operation's value flips with its units; where it does neither that nor stay, they can't flip."""
    inputs = [n for n in node.all_input_nodes if isinstance(n.meta.get("val"), Tensor | list | tuple)]
    odd = (
        _is_odd_linear(trace, node, operation)
        if operation in LINEAR.split()
        else _is_odd(trace, node, operation, inputs)
    )
    if odd is None:
        mark_not_odd(*trace.inputs(node), *(axis for axes in tensors_in(value) for axis in axes))
    elif odd:
        trace.odd.add(node)


def _flips(trace: Trace, node: Any) -> bool:
    """Whether a value flips with its units; one that doesn't stays as it is."""
    while isinstance(node, Node) and node.target is getitem:
        node = node.args[0]
    return node in trace.odd


def _is_odd_linear(trace: Trace, node: Node, operation: str) -> bool | None:
    """Outputs flip by the rows of the weight, inputs by its columns; other units may pass unless a bias is added."""
    x, (inputs, weight, bias) = trace.axes(node.args[0]), (*node.args[:2], argument(node, "bias"))
    computed = trace.name(weight) is None or (bias is not None and trace.name(bias) is None)
    if computed or (operation != "linear" and argument(node, "groups") > 1):
        return None  # nothing says how it flips, or it does so by its inputs and by its outputs at once
    contracted = x[-1] if operation == "linear" else x[1]
    if not _flips(trace, inputs):
        mark_not_odd(*x)
    elif bias is not None:
        mark_not_odd(*(axis for axis in x if axis is not contracted))
    return True


def _is_odd(trace: Trace, node: Node, operation: str, inputs: list[Node]) -> bool | None:
    """Whether the value flips; None: it neither does nor stays."""
    flipping = [n for n in inputs if _flips(trace, n)]
    if not flipping:
        return False
    if operation in ("mul", "div"):
        return _is_odd_product(trace, node, flipping)
    if operation in ("add", "sub"):
        alike = len(_operands(node)) == 2 and all(n in flipping for n in _operands(node))
        return True if alike and len({shape_of(n) for n in flipping}) == 1 else None
    if operation in ("mean", "sum"):
        _mark_reduced(trace, node)
        return True
    if operation in ("cat", "concat"):
        return True if len(flipping) == len(inputs) else None
    if operation in ("hardtanh", "clamp"):
        low, high = (
            argument(node, name) for name in (("min_val", "max_val") if "tanh" in operation else ("min", "max"))
        )
        return True if isinstance(low, int | float) and isinstance(high, int | float) and low == -high else None
    if operation == "pow" and isinstance(power := argument(node, "exponent"), int):
        return power % 2 == 1
    return True if operation in ODD.split() else False if operation in EVEN.split() else None


def _operands(node: Node) -> list[Any]:
    """What is added, subtracted, multiplied or divided."""
    return [argument(node, "self"), argument(node, "other")]


def _is_odd_product(trace: Trace, node: Node, flipping: list[Node]) -> bool | None:
    """Products of what flips with the same units stay; with what stays, they flip, if it has no units of its own."""
    a, b = (_units(trace, n) if isinstance(n, Node) else set() for n in _operands(node))
    first, second = (n in flipping for n in _operands(node))
    if first and second:
        return False if a == b else None if a & b else True
    return True if (b <= a if first else a <= b) else None


def _units(trace: Trace, node: Node) -> set[Units]:
    """The sets of units along a value's axes whose order isn't fixed."""
    axes: list[AxisStructure] = [axis for axes in tensors_in(trace.values.get(node)) for axis in axes]
    return {units for axis in axes for units in units_in(axis) if units.size > 1 and not units.fixed}


def _mark_reduced(trace: Trace, node: Node) -> None:
    """A mean over units flips only where all of them do."""
    x, dims = trace.axes(node.args[0]), argument(node, "dim")
    gone = range(len(x)) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    mark_not_odd(*(x[int(d)] for d in gone))
