"""A network's graph as torch.export records it, run with the rules in place of the operations."""

import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from stages.symmetry.fresh import fresh
from stages.symmetry.parity import note_parity
from stages.symmetry.rules import HOMOGENEOUS, rule_for
from stages.symmetry.rules.indexing import unordered
from stages.symmetry.structure import INPUT, OUTPUT, Units, fix, mark_not_homogeneous, name_reasons
from stages.symmetry.trace import Axes, Constant, Trace, fixed_axes, schema_of, tensors_in
from stages.symmetry.unification import settle

COMPLEX = "complex numbers"
"""Why axes of complex tensors are fixed: the rows of a zoo hold real numbers."""


@torch.no_grad()
def export(module: nn.Module, example: Tensor) -> ExportedProgram:
    """The graph of a module in evaluation mode for this input [batch, ...], without writes into parts of tensors.

    Raises whatever torch.export raises for a module whose graph depends on the data.
    """
    with _quiet():
        exported = torch.export.export(fresh(module), (example,), strict=False)
    written = [n.args[0] for n in exported.graph.nodes if n.op == "call_function" and _mutates(n.target)]
    into_parts = any(isinstance(a, Node) and (_is_view(a.target) or not a.all_input_nodes) for a in written)
    return exported.run_decompositions({}) if into_parts else exported


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch.export's pages about what modules assign while they run, and about graphs it can't record."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def read(exported: ExportedProgram, module: nn.Module, constants: Collection[str] = ()) -> Trace:
    """Run the rules over a module's graph; `constants` names stored buffers that all networks have in common."""
    trace = Trace(_stored(module, constants))
    sources = _sources(exported)
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            _give(trace, node, exported, sources.get(node.name))
        elif node.op == "call_function":
            _run(trace, node)
        elif node.op == "output":
            fix(*trace.inputs(node), by=OUTPUT)
    settle(list(trace.all_axes()))
    return trace


def _give(trace: Trace, node: Node, exported: ExportedProgram, name: str | None) -> None:
    """What a network is given: stored tensors, constants, or its input."""
    if name in trace.stored:
        node.meta["stored"] = name
        trace.values[node] = trace.stored[name]
    elif name is not None:
        values = {**exported.constants, **exported.state_dict}
        trace.constants[node] = Constant(values[name], name)
    else:
        trace.values[node] = fixed_axes(node.meta.get("val"), INPUT)


def _mutates(target: Any) -> bool:
    schema = schema_of(target)
    return schema is not None and schema.is_mutable


def _is_view(target: Any) -> bool:
    returned = schema_of(target).returns if schema_of(target) else []
    return target is getitem or any(value.alias_info and not value.alias_info.is_write for value in returned)


def _stored(module: nn.Module, constants: Collection[str]) -> dict[str, Axes]:
    """Sets of units along each axis of every stored tensor; tied parameters have the same ones."""
    by_tensor: dict[int, Axes] = {}
    state = module.state_dict(keep_vars=True)
    return {name: by_tensor.setdefault(id(t), _free(t)) for name, t in state.items() if name not in constants}


def _free(tensor: Tensor) -> Axes:
    return [Units(n, COMPLEX if tensor.is_complex() else None) for n in tensor.shape]


def _sources(exported: ExportedProgram) -> dict[str, str]:
    """Placeholder -> the parameter, buffer or constant that it stands for."""
    signature = exported.graph_signature
    return {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }


def _run(trace: Trace, node: Node) -> None:
    """Compute an operation's output where all that it reads is known; its axes otherwise."""
    if all(argument in trace.constants for argument in node.all_input_nodes) and not _draws(node.target):
        trace.constants[node] = _computed(trace, node)
    else:
        trace.values[node] = _output_axes(trace, node)


def _draws(target: Any) -> bool:
    """Whether an operation draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())


@torch.no_grad()
def _computed(trace: Trace, node: Node) -> Constant:
    read = [trace.constants[argument] for argument in node.all_input_nodes]
    args, kwargs = map_arg((node.args, node.kwargs), lambda n: trace.constants[n].value)
    return Constant(node.target(*args, **kwargs), read[0].origin if read else _operation(node))  # type: ignore[operator]


def _operation(node: Node) -> str:
    schema = schema_of(node.target)
    name = schema.name.split("::")[-1] if schema else getattr(node.target, "__name__", str(node.target))
    return name.rstrip("_")


def _output_axes(trace: Trace, node: Node) -> Any:
    """The axes of an operation's output; without a rule, all that the operation touches is fixed."""
    if node.target is getitem:
        return trace.values[node.args[0]][node.args[1]]  # type: ignore[index]
    operation = _operation(node)
    rule = rule_for(operation, node.target)
    value = (rule or unordered)(trace, node)
    touched = [*trace.inputs(node), *(axis for axes in tensors_in(value) for axis in axes)]
    name_reasons(touched, operation if rule else f"{operation}, which no rule knows")
    if operation not in HOMOGENEOUS.split():
        mark_not_homogeneous(*touched)
    note_parity(trace, node, operation, value)
    return value
