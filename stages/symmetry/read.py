"""Read a network's own graph, as torch.export records it, into what lies along the axes of its tensors."""

from collections import Counter
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from stages.symmetry.extent import Units, fix
from stages.symmetry.rules import rule_for
from stages.symmetry.trace import HOMOGENEOUS, Axes, Trace, given, inputs_of, spoil, tensors_in


def read_graph(module: nn.Module, example: Tensor) -> Trace:
    """Run the rules over the graph that `module` has, in evaluation mode, for this input [batch, ...].

    Raises whatever torch.export raises for a module whose graph depends on the data.
    """
    exported = torch.export.export(module.eval(), (example,), strict=False)
    found = Trace(_stored(module), {}, {}, Counter())
    signature = exported.graph_signature
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            found.values[node] = _placeholder(found, node, sources.get(node.name))
        elif node.op == "call_function":
            found.values[node] = _call(found, node)
        elif node.op == "output":
            fix(*inputs_of(found, node))
        else:
            found.values[node] = given(node)
    return found


def _stored(module: nn.Module) -> dict[str, Axes]:
    """Fresh axes for every stored tensor; those of tied parameters are the same."""
    by_tensor: dict[int, Axes] = {}
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        found[name] = by_tensor.setdefault(id(tensor), [Units(n) for n in tensor.shape])
    return found


def _placeholder(found: Trace, node: Node, name: str | None) -> Any:
    """A stored tensor's axes; what the user gives, or the module doesn't store, is in a fixed order."""
    if name in found.stored:
        node.meta["stored"] = name
        return found.stored[name]
    return given(node)


def _call(found: Trace, node: Node) -> Any:
    if node.target is getitem:
        return found.values[node.args[0]][node.args[1]]  # type: ignore[index]
    schema = getattr(node.target, "_schema", None)
    name = schema.name.split("::")[-1].rstrip("_") if schema else str(node.target)
    rule = rule_for(name, node.target)
    if rule is None:
        found.unknown[name] += 1
        fix(*inputs_of(found, node))
        return given(node)
    value = rule(found, node)
    if name not in HOMOGENEOUS:
        spoil([*inputs_of(found, node), *(e for axes in tensors_in(value) for e in axes)])
    return value
