"""The symmetry table of a network, derived from its graph as torch.export records it, and proved."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.symmetry.fresh import fresh
from stages.symmetry.graph import export, read
from stages.symmetry.groups import table_of
from stages.symmetry.left_out import left_out, listed
from stages.symmetry.prove import prove
from stages.symmetry.table import Symmetry

MAX_PLACES = 20_000
"""Groups that would need more entries than this are left out."""
GRAPH_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError, AttributeError)
"""What torch.export raises where a graph would depend on the data, or where a network does what it can't record."""


@dataclass(frozen=True)
class Derived:
    """A table that passed its proof, and a line for everything that was left unpermuted: what, and why."""

    symmetry: Symmetry
    notes: tuple[str, ...]


def derive(module: nn.Module, example: Tensor, constants: Collection[str] = ()) -> Derived:
    """The table of every permutation group that the module's graph shows, for an input [batch, ...].

    `constants` are stored buffers that have the module's own values in all networks, and in any order of their units.
    Conservative: what passes through an operation without a rule keeps its order. Proved on the spot (see `prove`);
    what fails is left out. A module without a graph that holds for all inputs has no groups.
    """
    with torch.no_grad():
        fresh(module)(example)  # what is wrong with the network itself is raised here
    try:
        exported = export(module, example)
    except GRAPH_ERRORS as error:
        return Derived(Symmetry(), (_graph_missing(error),))
    trace = read(exported, module, constants)
    rows = _row_tensors(module) - set(constants)
    whole = table_of(trace, rows)
    table = Symmetry({name: group for name, group in whole.groups.items() if len(group.axes) <= MAX_PLACES})
    notes = left_out(trace.stored, rows)
    if scattered := set(whole.groups) - set(table.groups):
        notes.append(f"too scattered (more than {MAX_PLACES} places): {listed(scattered, 'group', 'groups')}")
    proved = prove(module, example, table, constants)
    return Derived(proved.symmetry, (*notes, *proved.notes))


def _row_tensors(module: nn.Module) -> set[str]:
    """The tensors that a row holds: parameters under their first names, and floating buffers."""
    stored = module.state_dict()
    buffers = {name for name, b in module.named_buffers() if name in stored and b.is_floating_point()}
    return {name for name, _ in module.named_parameters()} | buffers


def _graph_missing(error: Exception) -> str:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return f"no groups: torch.export finds no graph of this network that holds for all inputs ({reason})"
