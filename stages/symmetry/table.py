"""A network's permutation symmetry as data: which positions along which axes of which tensors move together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import lgamma, log
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stages.errors import LayoutMismatch

Weights = Mapping[str, Tensor]
"""One network's tensors by name."""
Permutations = Mapping[str, Tensor]
"""Group name -> index vector [size]: new position i takes what was at `permutation[i]`. For a group within another
[outer size, size]: one such vector for each unit of the outer group, in its new place."""


class Axis(NamedTuple):
    """Where a group's units lie along one axis of one tensor.

    Unit i takes the `width` positions from `start + i * width` on; unit i of a group within another, in outer unit o,
    those from `start + o * stride + i * width` on. `power` is how a positive rescaling of the units acts there: their
    incoming weights and biases take `+1`, their outgoing weights `-1`; `0` where there is no such symmetry. `flips`:
    whether values there change their sign with the units, where activations are odd.
    """

    tensor: str
    axis: int
    power: int = 0
    start: int = 0
    width: int = 1
    stride: int = 0
    flips: bool = False


@dataclass(frozen=True)
class Group:
    """Interchangeable units: how many, and every place where they lie.

    `within` names the group each unit of which holds `size` units of this one, permuted on their own: the dimensions
    within heads. `stream` marks units that residual additions carry through many layers.
    """

    size: int
    axes: tuple[Axis, ...]
    within: str | None = None
    stream: bool = False


@dataclass(frozen=True)
class Symmetry:
    """Groups of interchangeable units by name; a group within another comes after it."""

    groups: Mapping[str, Group] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError where a group is within one that doesn't come before it, or is itself within another."""
        outer: set[str] = set()
        for name, group in self.groups.items():
            if group.within is None:
                outer.add(name)
            elif group.within not in outer:
                raise ValueError(f"group {name!r} is within {group.within!r}, which must be an outer group before it")

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """Outer group -> the groups within it."""
        outer = [name for name, group in self.groups.items() if group.within is None]
        return {name: [inner for inner, group in self.groups.items() if group.within == name] for name in outer}

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that some group lies on."""
        return tuple(dict.fromkeys(a.tensor for group in self.groups.values() for a in group.axes))

    @cached_property
    def rescalable(self) -> tuple[str, ...]:
        """The groups whose units may be multiplied by positive scales."""
        return tuple(name for name, group in self.groups.items() if any(a.power for a in group.axes))

    @cached_property
    def flippable(self) -> tuple[str, ...]:
        """The groups whose units may change their signs."""
        return tuple(name for name, group in self.groups.items() if any(a.flips for a in group.axes))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a group's permutations: [size] or [outer size, size]."""
        group = self.groups[name]
        return (group.size,) if group.within is None else (self.groups[group.within].size, group.size)

    def only(self, names: Collection[str]) -> "Symmetry":
        """The table with these groups alone; what is within a group that goes, goes too."""
        return Symmetry(
            {n: g for n, g in self.groups.items() if n in names and (g.within is None or g.within in names)}
        )

    def restricted_to(self, tensors: Collection[str]) -> "Symmetry":
        """The same groups, as they lie on these tensors alone."""
        kept = {n: tuple(a for a in g.axes if a.tensor in tensors) for n, g in self.groups.items()}
        return Symmetry({n: replace(g, axes=kept[n]) for n, g in self.groups.items()})

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the number of relabellings."""
        total = 0.0
        for name, group in self.groups.items():
            copies = 1 if group.within is None else self.shape(name)[0]
            total += copies * lgamma(group.size + 1)
        return total / log(10)

    def check(self, weights: Weights) -> None:
        """Raise LayoutMismatch naming the group, tensor and axis where units would lie beyond an axis's end."""
        for name, group in self.groups.items():
            for a in group.axes:
                shape = tuple(weights[a.tensor].shape) if a.tensor in weights else ()
                length = shape[a.axis] if a.axis < len(shape) else None
                needed = int(self.places(name, a).max()) + 1
                if length is None or length < needed:
                    where = f"group {name!r}: tensor {a.tensor!r} axis {a.axis}"
                    raise LayoutMismatch(f"{where} has length {length}, expected {needed} or more")

    def places(self, name: str, a: Axis) -> Tensor:
        """Positions [size, width] or [outer size, size, width] of a group's units along an axis (read-only)."""
        if (found := self._places.get((name, a))) is None:
            group = self.groups[name]
            found = a.start + a.width * torch.arange(group.size)[:, None] + torch.arange(a.width)
            if group.within is not None:
                found = found + a.stride * torch.arange(self.groups[group.within].size)[:, None, None]
            self._places[name, a] = found
        return found

    @cached_property
    def _places(self) -> dict[tuple[str, Axis], Tensor]:
        """What `places` has computed: matching asks for the same ones over and over."""
        return {}

    def identity(self) -> dict[str, Tensor]:
        """The element that moves nothing."""
        return {name: torch.arange(group.size).expand(self.shape(name)).clone() for name, group in self.groups.items()}

    def is_identity(self, permutations: Permutations) -> bool:
        """Whether an element moves nothing."""
        return all(torch.equal(p, torch.arange(p.shape[-1]).expand_as(p)) for p in permutations.values())

    def random(self, generator: torch.Generator) -> dict[str, Tensor]:
        """A uniformly drawn element."""
        return {name: torch.rand(self.shape(name), generator=generator).argsort(-1) for name in self.groups}

    def invert(self, permutations: Permutations) -> dict[str, Tensor]:
        """The element that undoes another."""
        undone = {name: torch.argsort(permutations[name], dim=-1) for name in self.groups}
        return {name: self._rows(name, undone, undone[name]) for name in self.groups}

    def compose(self, first: Permutations, then: Permutations) -> dict[str, Tensor]:
        """One element that acts like `first` followed by `then`."""
        return {name: self._rows(name, then, first[name]).gather(-1, then[name]) for name in self.groups}

    def _rows(self, name: str, moves: Permutations, inner: Tensor) -> Tensor:
        """Per-outer-unit permutations in the order that `moves` puts the outer units in."""
        within = self.groups[name].within
        return inner if within is None else inner[moves[within]]

    def act(self, permutations: Permutations, weights: Weights) -> dict[str, Tensor]:
        """The relabelled network: the same function, its units in another order."""
        moved = dict(weights)
        for tensor, by_axis in self.indices(permutations, weights).items():
            moved[tensor] = permute(moved[tensor], by_axis)
        return moved

    def indices(self, permutations: Permutations, weights: Weights) -> dict[str, dict[int, Tensor]]:
        """Tensor -> axis -> index vector of its whole length; groups that `permutations` leaves out don't move."""
        vectors: dict[str, dict[int, Tensor]] = {}
        for name, group in self.groups.items():  # outer groups first: what is within moves in the new places
            if name not in permutations:
                continue
            for a in group.axes:
                axes = vectors.setdefault(a.tensor, {})
                length = weights[a.tensor].shape[a.axis]
                axes[a.axis] = self._moved(axes.get(a.axis, torch.arange(length)), name, a, permutations[name])
        return vectors

    def _moved(self, index: Tensor, name: str, a: Axis, permutation: Tensor) -> Tensor:
        places = self.places(name, a)
        taken = places.gather(-2, permutation.unsqueeze(-1).expand_as(places))
        return index.index_copy(0, places.flatten(), index[taken.flatten()])

    def rescale(self, scales: Mapping[str, Tensor], weights: Weights) -> dict[str, Tensor]:
        """Multiply each unit's incoming weights by its positive scale [size] and divide its outgoing ones by it."""
        moved = dict(weights)
        for name, group in self.groups.items():
            for a in group.axes if name in scales else ():
                if a.power:
                    moved[a.tensor] = self._multiplied(moved[a.tensor], name, a, scales[name].double() ** a.power)
        return moved

    def flip(self, signs: Mapping[str, Tensor], weights: Weights) -> dict[str, Tensor]:
        """Multiply each unit's incoming and outgoing weights by its sign [size], 1 or -1: bit for bit."""
        moved = dict(weights)
        for name, group in self.groups.items():
            for a in group.axes if name in signs else ():
                if a.flips:
                    moved[a.tensor] = self._multiplied(moved[a.tensor], name, a, signs[name].double())
        return moved

    def _multiplied(self, tensor: Tensor, name: str, a: Axis, factors: Tensor) -> Tensor:
        """A tensor with the values of each unit of a group [size] multiplied by a factor."""
        factor = torch.ones(tensor.shape[a.axis], dtype=torch.float64)
        factor[self.places(name, a).flatten()] = factors.repeat_interleave(a.width)
        return tensor * along(factor.to(tensor), a.axis, tensor.ndim)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            name: {"size": g.size, "axes": [list(a) for a in g.axes], "within": g.within, "stream": g.stream}
            for name, g in self.groups.items()
        }

    @classmethod
    def from_json(cls, groups: Mapping[str, Any]) -> "Symmetry":
        """The inverse of `to_json`."""
        return cls(
            {
                name: Group(g["size"], tuple(Axis(*a) for a in g["axes"]), g["within"], g["stream"])
                for name, g in groups.items()
            }
        )


def permute(tensor: Tensor, by_axis: Mapping[int, Tensor]) -> Tensor:
    """Reorder a tensor along several axes."""
    for axis, index in by_axis.items():
        tensor = tensor.index_select(axis, index.to(tensor.device))
    return tensor


def along(vector: Tensor, axis: int, ndim: int) -> Tensor:
    """A vector shaped to broadcast along one axis of a tensor with `ndim` axes."""
    shape = [1] * ndim
    shape[axis] = -1
    return vector.reshape(shape)
