"""Normalization of activations and of weights."""

from collections.abc import Iterable
from typing import Any

from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import KERNEL, Units, product, size
from stages.symmetry.trace import Axes, Trace, argument, broadcast, fixed_axes
from stages.symmetry.unification import unify


def along_channels(t: Trace, node: Node) -> Axes:
    """Every statistic and parameter lies along axis 1."""
    return _tied(t, t.axes(node.args[0]), node.args[1:5])


def along_channels_with_statistics(t: Trace, node: Node) -> tuple[Axes, ...]:
    """The same, with what was measured."""
    return along_channels(t, node), *(fixed_axes(measured, KERNEL) for measured in node.meta["val"][1:])


def group_norm(t: Trace, node: Node) -> Axes:
    """Channels are groups x channels."""
    x, groups = t.axes(node.args[0]), int(node.args[1])  # type: ignore[call-overload]
    unify(x[1], product([Units(groups), Units(size(x[1]) // groups)]))
    return _tied(t, x, (argument(node, "weight"), argument(node, "bias")))


def _tied(t: Trace, x: Axes, parameters: Iterable[Any]) -> Axes:
    for parameter in parameters:
        if isinstance(parameter, Node):
            unify(x[1], t.axes(parameter)[0])
    return x


def layer_norm(t: Trace, node: Node) -> Axes:
    """Mean and variance over the last axes don't see their order."""
    x, last = t.axes(node.args[0]), len(argument(node, "normalized_shape"))
    for other in node.args[2:4]:
        if isinstance(other, Node):
            broadcast(x[-last:], t.axes(other))
    return x


def weight_norm(t: Trace, node: Node) -> Axes:
    """A direction, scaled along one axis by a magnitude that has length 1 along the others."""
    return broadcast(t.axes(node.args[0]), t.axes(node.args[1]))


RULES: dict[Rule, str] = {
    along_channels: "batch_norm instance_norm",
    along_channels_with_statistics: "_native_batch_norm_legit_no_training",
    group_norm: "group_norm",
    layer_norm: "layer_norm rms_norm",
    weight_norm: "_weight_norm",
}
