"""`dwf symmetry --survey`: how much of well-known networks' symmetry is derived, every group checked independently."""

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from pipeline.configurations import find
from pipeline.strict_yaml import read_yaml
from stages.errors import UsageError
from stages.nets.registry import build, example_input
from stages.params.network import Model
from stages.precision import DoublePrecision
from stages.symmetry.derive import derive
from stages.symmetry.fresh import fresh
from stages.symmetry.table import Axis, Symmetry

COLUMNS = ("network", "input", "parameters", "groups", "touched", "seconds", "gap", "controls", "failed", "notes")
CONTROLS = 5
"""Groups of each network that are moved by half to see that the check would notice."""
ENOUGH = 0.95
"""Share of a network's parameters that are to be in some group."""
EXACT = 1e-7
"""Largest change of outputs, relative to the largest output in double precision, that counts as none: round-off grows
with depth, to 3e-9 in EfficientNets, and what is false changes far more."""


@dataclass(frozen=True)
class Surveyed:
    """One network of a survey.

    `touched`: share of its parameters in tensors that some group lies on. `gap`: largest change of outputs, relative
    to the largest, when all units are permuted at once. `controls`: groups tried by half; `failed`: those of them that
    changed nothing. `seconds`: for the graph, the table and its proof.
    """

    network: Model
    parameters: int = 0
    groups: int = 0
    touched: float = 0.0
    seconds: float = 0.0
    gap: float = float("nan")
    controls: int = 0
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def row(self) -> tuple[str, ...]:
        """As text, in the order of COLUMNS."""
        shape = "x".join(map(str, self.network.input))
        name = self.network.kwargs.get("model_type", self.network.model)
        figures = (f"{self.parameters}", f"{self.groups}", f"{100 * self.touched:.1f}", f"{self.seconds:.1f}")
        checks = (f"{self.gap:.0e}", f"{self.controls}", " ".join(self.failed))
        return (str(name), shape, *figures, *checks, "; ".join(self.notes))


def networks_of(survey: Path) -> list[Model]:
    """The networks that a YAML file lists, given by path or name. Raises UsageError for one that isn't such a list."""
    path = find(survey, "surveys/*.yaml")
    try:
        return TypeAdapter(list[Model]).validate_python(read_yaml(path))
    except ValidationError as error:
        problem = str(error).splitlines()
        raise UsageError(f"{path}: no list of networks with `model` and `input`: {' '.join(problem[:3])}") from error


def surveyed_networks(path: Path, table: Path | None = None) -> Iterator[Surveyed]:
    """Each network that a file lists as soon as it is done; `table` gets it too, as a row of CSV."""
    networks = networks_of(path)
    with table.open("w", newline="", buffering=1) if table else nullcontext() as file:
        rows = csv.writer(file) if file else None
        if rows:
            rows.writerow(COLUMNS)
        for network in networks:
            surveyed = survey_one(network)
            if rows:
                rows.writerow(surveyed.row())
            yield surveyed


def enough(touched: Sequence[float]) -> str:
    """The sum of a survey, from the share of each network's parameters that is in some group."""
    count = sum(share >= ENOUGH for share in touched)
    return f"{count} of {len(touched)} networks have {100 * ENOUGH:.0f} % of their parameters in some group"


def survey_one(network: Model) -> Surveyed:
    """Derive a network's table, and check it; what breaks is named in the notes."""
    try:
        return _surveyed(network)
    except Exception as error:  # noqa: BLE001  a survey goes on
        return Surveyed(network, notes=(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",))


def _surveyed(network: Model) -> Surveyed:
    module, example = build(network), example_input(network)
    started = time.monotonic()
    derived = derive(module, example)
    seconds = time.monotonic() - started
    sizes = {name: p.numel() for name, p in module.named_parameters()}
    touched = sum(sizes[name] for name in derived.symmetry.tensors if name in sizes) / sum(sizes.values())
    check = Check(module, example)
    some = list(derived.symmetry.groups)[:: max(1, len(derived.symmetry.groups) // CONTROLS)][:CONTROLS]
    failed = tuple(name for name in some if check.gap_of_half(derived.symmetry, name) <= EXACT)
    return Surveyed(
        network=network,
        parameters=sum(sizes.values()),
        groups=len(derived.symmetry.groups),
        touched=touched,
        seconds=seconds,
        gap=check.gap(derived.symmetry),
        controls=len(some),
        failed=failed,
        notes=derived.notes,
    )


class Check:
    """A table's claims tried in plain torch, by code that shares nothing with the proof's or the table's own.

    A network in double precision with random weights is loaded with permuted tensors, group by group, and must compute
    what it did.
    """

    def __init__(self, module: nn.Module, example: Tensor, seed: int = 1) -> None:
        self.module = fresh(module, lambda t: t.detach().clone()).double()
        self.example = example.double() if example.is_floating_point() else example
        self.draw = torch.Generator().manual_seed(seed)
        stored = self.module.state_dict()
        names = [*dict(self.module.named_parameters()), *(n for n, _ in self.module.named_buffers() if n in stored)]
        self.weights = {name: self._noisy(stored[name]) for name in names}
        self.outputs = self._run(self.weights)

    def _noisy(self, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.clone()
        noise = torch.randn(tensor.shape, generator=self.draw, dtype=tensor.dtype)
        if tensor.ndim < 2 and bool((tensor > 0).all()):
            return tensor * (0.2 * noise).exp()
        spread = tensor[tensor.isfinite()].std(correction=0).nan_to_num(0)
        return torch.where(tensor.isfinite(), tensor + 0.3 * spread.clamp_min(0.05) * noise, tensor)

    @torch.no_grad()
    def _run(self, weights: dict[str, Tensor]) -> Tensor:
        module = fresh(self.module)
        state = module.state_dict()  # with the versions of its modules, which some ask for
        state.update(weights)
        module.load_state_dict(state)
        with DoublePrecision():
            outputs = tree_leaves(module(self.example))
        real = (torch.view_as_real(y) if y.is_complex() else y for y in outputs if isinstance(y, Tensor))
        return torch.cat([y.double().flatten() for y in real])

    def _change(self, weights: dict[str, Tensor]) -> float:
        finite = self.outputs.isfinite()
        change = (self._run(weights) - self.outputs)[finite].abs().max() / self.outputs[finite].abs().max()
        return float(change.nan_to_num(torch.inf))

    def gap(self, symmetry: Symmetry) -> float:
        """The relative change of outputs when all groups move at once, each by a random permutation."""
        weights = dict(self.weights)
        for name, group in symmetry.groups.items():
            order = self._order(symmetry, name)
            for place in group.axes:
                weights[place.tensor] = _permuted(weights[place.tensor], place, order)
        return self._change(weights) if symmetry.groups else 0.0

    def gap_of_half(self, symmetry: Symmetry, name: str) -> float:
        """The same when one group moves in the first tensor that it lies on only, or in half of its only one."""
        order = self._order(symmetry, name, shift=True)
        places = symmetry.groups[name].axes
        first = [p for p in places if (p.tensor, p.axis) == (places[0].tensor, places[0].axis)]
        before = after = self.weights[places[0].tensor]
        for place in first:
            after = _permuted(after, place, order)
        if len(first) == len(places) and before.ndim > 1:
            other = 1 if places[0].axis == 0 else 0
            half = torch.arange(before.shape[other]) < before.shape[other] / 2
            after = torch.where(half.reshape([-1 if i == other else 1 for i in range(before.ndim)]), before, after)
        return self._change({**self.weights, places[0].tensor: after})

    def _order(self, symmetry: Symmetry, name: str, shift: bool = False) -> Tensor:
        """A permutation [outer units, units]; those of a group that is within no other are one row."""
        group = symmetry.groups[name]
        rows = symmetry.groups[group.within].size if group.within else 1
        if shift:
            return torch.arange(group.size).roll(1).expand(rows, -1)
        return torch.stack([torch.randperm(group.size, generator=self.draw) for _ in range(rows)])


def _permuted(tensor: Tensor, place: Axis, order: Tensor) -> Tensor:
    """A tensor with the units that lie at a place in another order."""
    index = list(range(tensor.shape[place.axis]))
    for outer, row in enumerate(order.tolist()):
        origin = place.start + outer * place.stride
        for new, old in enumerate(row):
            for offset in range(place.width):
                index[origin + new * place.width + offset] = origin + old * place.width + offset
    return tensor.index_select(place.axis, torch.tensor(index))


def hugging_face(model_type: str, task: str, **options: object) -> nn.Module:
    """A freshly initialised model of Hugging Face's transformers for a task such as CausalLM, by its configuration."""
    import transformers

    config = transformers.AutoConfig.for_model(model_type, **options)
    return getattr(transformers, f"AutoModelFor{task}").from_config(config)
