"""The symmetry of a network: its groups of interchangeable units, random relabellings, proof, and alignment."""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from stages.canonical.form import Aligner
from stages.errors import FunctionChanged
from stages.nets.registry import assign
from stages.nets.requirements import check_network
from stages.precision import DoublePrecision
from stages.seeds import generator
from stages.symmetry.derive import derive
from stages.symmetry.element import Element, random_signs
from stages.symmetry.fresh import fresh
from stages.symmetry.prove import prove, vacuous_groups
from stages.symmetry.table import Symmetry
from stages.symmetry.transfusion import nesting_groups

State = Mapping[str, Tensor]
"""A network's tensors by the names of its state dict."""
N = TypeVar("N", bound=nn.Module | State)
EXACT = 1e-9
"""Largest change of outputs in double precision, relative to the largest output, that counts as none."""
SWEEPS, SHOWN = 100, 4
"""Sweeps of matching over all groups, at most; places of a group that the table names."""


@dataclass(frozen=True)
class Proof:
    """What random elements at a random point of weight space say about a table.

    `notes` has a line for every group that changed the outputs; `vacuous` names groups of which even one half alone
    changed nothing, so that their proof says nothing (the negative control).
    """

    groups: int
    notes: tuple[str, ...]
    vacuous: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.notes

    def __str__(self) -> str:
        verdict = f"groups that keep the outputs at round-off: {self.groups}" if self else "\n".join(self.notes)
        idle = f"; one half alone changes nothing of {', '.join(self.vacuous)}" if self.vacuous else ""
        return f"{verdict}{idle}"


@dataclass(frozen=True)
class NetworkSymmetry:
    """The groups of interchangeable units of one architecture, proved on a copy of the network given.

    `symmetry` is the table itself; `notes` has a line for everything that was left unpermuted, and why.
    """

    module: nn.Module
    example: Tensor
    symmetry: Symmetry
    notes: tuple[str, ...]
    constants: frozenset[str] = frozenset()

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per group: how many units, within which group, whether on a residual stream, whether units may be
        rescaled or change their signs, and the tensors and axes that they lie on.
        """
        rows = []
        for name, group in self.symmetry.groups.items():
            places = list(dict.fromkeys(f"{a.tensor}[{a.axis}]" for a in group.axes))
            more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
            scaled, signed = name in self.symmetry.rescalable, name in self.symmetry.flippable
            facts = (group.size, group.within or "", group.stream, scaled, signed)
            rows.append((name, *facts, ", ".join(places[:SHOWN]) + more))
        return pd.DataFrame(rows, columns=["group", "units", "within", "stream", "rescaled", "signs", "lies on"])

    def random(self, seed: int = 0) -> Element:
        """A uniformly drawn relabelling of all groups, with random signs where activations are odd."""
        draw = generator(seed, "relabelling")
        signs = {name: random_signs(self.symmetry.groups[name].size, draw) for name in self.symmetry.flippable}
        return Element(self.symmetry.random(draw), signs)

    def act(self, network: N, element: Element) -> N:
        """A copy of a module or a state dict with its units moved: the same function.

        Raises LayoutMismatch naming the tensor that isn't as in the network that the table was derived from.
        """
        tensors = self._tensors(network)
        self.symmetry.check(tensors)
        return self._copy(network, element.act(self.symmetry, tensors))

    def prove(self, seed: int = 1) -> Proof:
        """Try random elements once more, at another random point, and each group by half."""
        proved = prove(self.module, self.example, self.symmetry, self.constants, seed)
        idle = vacuous_groups(self.module, self.example, self.symmetry, seed)
        return Proof(len(self.symmetry.groups), proved.notes, tuple(idle))

    def align(self, reference: nn.Module | State, network: N, seed: int = 0) -> N:
        """A copy of a network with its units in the order that brings its weights closest to the reference's in L2.

        Git Re-Basin, or TransFusion where there are attention heads. `seed` is of the order in which groups are
        matched. Raises FunctionChanged if outputs changed beyond round-off, LayoutMismatch as `act` does.
        """
        target, tensors = self._tensors(reference), self._tensors(network)
        for weights in (target, tensors):
            self.symmetry.check(weights)
        method = "transfusion" if nesting_groups(self.symmetry) else "rebasin"
        parameters = [name for name, _ in self.module.named_parameters()]
        aligner = Aligner(self.symmetry, method, streams=True, max_sweeps=SWEEPS)
        draw = generator(seed, "align")
        element = aligner.element(aligner.table(parameters), _on_cpu(target), _on_cpu(tensors), draw)
        moved = element.act(self.symmetry, tensors)
        self._check_outputs(tensors, moved)
        return self._copy(network, moved)

    def _tensors(self, network: nn.Module | State) -> dict[str, Tensor]:
        """A network's tensors by the first of their names."""
        if isinstance(network, nn.Module):
            return {**dict(network.named_parameters()), **dict(network.named_buffers())}
        return {name: tensor for name, tensor in network.items() if self._first_names.get(name, name) == name}

    def _copy(self, network: N, tensors: State) -> N:
        """A copy of a network that has these tensors."""
        if isinstance(network, nn.Module):
            moved = copy.deepcopy(network)
            assign(moved, tensors)
            return moved
        named = {name: tensors[self._first_names.get(name, name)] for name in network}
        return {name: tensor.detach().clone() for name, tensor in named.items()}  # type: ignore[return-value]

    @cached_property
    def _first_names(self) -> dict[str, str]:
        """Every name of a tied parameter -> the first of its names, under which a table has it."""
        first = {id(parameter): name for name, parameter in self.module.named_parameters()}
        return {name: first.get(id(t), name) for name, t in self.module.state_dict(keep_vars=True).items()}

    def _check_outputs(self, before: State, after: State) -> None:
        old, new = self._outputs(before), self._outputs(after)
        gap = float(((new - old).abs().max() / old.abs().max().clamp_min(1e-12)).nan_to_num(torch.inf))
        if gap > EXACT:
            raise FunctionChanged(
                f"align: outputs changed by {gap:.1e} of the largest one, allowed {EXACT:.0e}; the table derived for "
                f"{type(self.module).__name__} is wrong for this network: leave it as it is"
            )

    @torch.no_grad()
    def _outputs(self, tensors: State) -> Tensor:
        """All finite outputs for the example, end to end, in double precision."""
        module, example = fresh(self.module, torch.clone).double(), self.example
        stored = self.module.state_dict()
        wide = {n: t.detach().cpu().double() if t.is_floating_point() else t.cpu() for n, t in tensors.items()}
        with DoublePrecision():
            given = example.double() if example.is_floating_point() else example
            outputs = functional_call(module, {n: t for n, t in wide.items() if n in stored}, (given,))
        flat = torch.cat([leaf.flatten().double() for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)])
        return flat[flat.isfinite()]

    def __str__(self) -> str:
        return "\n".join(
            [self._heading, *([self.table.to_string(index=False)] if len(self.table) else []), *self.notes]
        )

    def __repr__(self) -> str:
        return f"<symmetry of {self._heading}>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return f"<p>{self._heading}</p>{self.table.to_html(index=False)}{notes}"

    @property
    def _heading(self) -> str:
        count, size = len(self.symmetry.groups), self.symmetry.log10_size
        groups = "1 group" if count == 1 else f"{count} groups"
        return f"{type(self.module).__name__}: {groups} of units, relabelled in 10^{size:.0f} ways"


def _on_cpu(tensors: State) -> State:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


def symmetry(model: nn.Module, example: Tensor, constants: Collection[str] = ()) -> NetworkSymmetry:
    """The permutation symmetry of any torch network, derived from its graph for an input [batch, ...], and proved.

    Units are neurons, channels, attention heads, the dimensions within them, and residual streams. `constants` are
    stored buffers that stay as they are, whatever moves. The model itself isn't touched. Raises UsageError in one line
    for a network that can't be worked with, such as one that draws random numbers in evaluation mode.
    """
    module, inputs = fresh(model, lambda tensor: tensor.detach().cpu()).float(), example.detach().cpu()
    check_network(module, inputs, f"symmetry: {type(model).__name__}", one_tensor=False)
    derived = derive(module, inputs, constants)
    return NetworkSymmetry(module, inputs, derived.symmetry, derived.notes, frozenset(constants))
