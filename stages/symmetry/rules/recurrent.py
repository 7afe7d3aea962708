"""Recurrent layers: the gates are copies of the hidden units, one after the other."""

from collections.abc import Sequence
from typing import Any

from torch.fx import Node

from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import KERNEL, AxisStructure, Units, concat, product, size
from stages.symmetry.trace import Axes, Trace, argument, ordered
from stages.symmetry.unification import positions, unify


def recurrent(gates: int) -> Rule:
    """The rule of a stack of layers, in one direction or both, with this number of gates.

    Output: the last layer's states at every time [time, batch, units], then the last states of every layer and, for an
    LSTM, its last cells. Its `params` are, layer by layer and direction by direction, the weights of inputs and of
    states, their biases, and the weight of a projection, if there are any.
    """

    def rule(t: Trace, node: Node) -> tuple[Axes, ...]:
        x = t.axes(node.args[0])
        starts, params = argument(node, "hx"), argument(node, "params")
        starts = starts if isinstance(starts, list | tuple) else [starts]
        directions, depth = 1 + bool(argument(node, "bidirectional")), int(argument(node, "num_layers"))
        each = len(params) // (directions * depth)
        ends: list[list[AxisStructure]] = [[] for _ in starts]
        inputs = x[-1]
        for layer in range(depth):
            outputs = []
            for direction in range(directions):
                at = each * (layer * directions + direction)
                states = _cell(t, gates, inputs, [t.axes(p) for p in params[at : at + each]])
                for start, end, state in zip(starts, ends, states, strict=False):
                    unify(t.axes(start)[-1], state)
                    end.append(state)
                outputs.append(states[0])
            inputs = concat(outputs)
        time = int(bool(argument(node, "batch_first"))) if len(x) == 3 else 0
        sequence = [ordered(axis, size(axis)) if i == time else axis for i, axis in enumerate(x[:-1])]
        return [*sequence, inputs], *(_last(end, [e for i, e in enumerate(x[:-1]) if i != time]) for end in ends)

    return rule


def _cell(t: Trace, gates: int, inputs: AxisStructure, weights: Sequence[Axes]) -> tuple[AxisStructure, AxisStructure]:
    """A cell's states and what they are a projection of, if they are one: an LSTM's cells."""
    del t
    hidden = Units(size(weights[0][0]) // gates)
    by_input, by_state, *others = weights
    projected = others.pop()[:] if others and len(others[-1]) == 2 else None
    state: AxisStructure = hidden
    if projected:
        unify(projected[1], hidden)
        state = projected[0]
    for axes in (by_input, by_state, *others):
        unify(axes[0], product([Units(gates, KERNEL), hidden]))
    unify(by_input[1], inputs)
    unify(by_state[1], state)
    return state, hidden


def _last(states: Sequence[AxisStructure], batch: Axes) -> Axes:
    """The last states of all layers, stacked: other units in each."""
    if len(states) == 1:
        return [Units(1), *batch, states[0]]
    layers, shared = positions(states)
    return [layers, *batch, shared]


def cell(gates: int) -> Rule:
    """The rule of one step of one layer: an LSTM's state and cells, or the state alone."""

    def rule(t: Trace, node: Node) -> Any:
        x, starts = t.axes(node.args[0]), argument(node, "hx")
        names = ("w_ih", "w_hh", "b_ih", "b_hh")
        weights = [t.axes(w) for name in names if (w := argument(node, name)) is not None]
        state, _ = _cell(t, gates, x[-1], weights)
        many = isinstance(starts, list | tuple)
        for start in starts if many else [starts]:
            unify(t.axes(start)[-1], state)
        return ([*x[:-1], state],) * 2 if many else [*x[:-1], state]

    return rule


RULES: dict[Rule, str] = {
    recurrent(4): "lstm",
    recurrent(3): "gru",
    recurrent(1): "rnn_tanh rnn_relu",
    cell(4): "lstm_cell",
    cell(3): "gru_cell",
    cell(1): "rnn_tanh_cell rnn_relu_cell",
}
