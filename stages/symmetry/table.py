"""A network's permutation symmetry: which axes of which tensors move together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from stages.errors import LayoutMismatch

Weights = Mapping[str, Tensor]
"""One network's tensors by name."""
Permutations = Mapping[str, Tensor]
"""Group name -> index vector [size]: new position i takes what was at `permutation[i]`."""


class Axis(NamedTuple):
    """One axis of one tensor. `power` is how a positive rescaling of the units acts there: their incoming weights
    and biases take `+1`, their outgoing weights `-1`; `0` where the activation has no scale symmetry.
    """

    tensor: str
    axis: int
    power: int = 0


@dataclass(frozen=True)
class Symmetry:
    """Groups of interchangeable units: group name -> every axis along which these units lie."""

    groups: Mapping[str, tuple[Axis, ...]]

    def sizes(self, weights: Weights) -> dict[str, int]:
        """Units per group.

        Raises LayoutMismatch naming the tensor and axis where two lengths within a group differ.
        """
        sizes = {}
        for group, axes in self.groups.items():
            shapes = [weights[a.tensor].shape if a.tensor in weights else () for a in axes]
            lengths = [shape[a.axis] if a.axis < len(shape) else None for a, shape in zip(axes, shapes, strict=True)]
            for a, length in zip(axes, lengths, strict=True):
                if length is None or length != lengths[0]:
                    raise LayoutMismatch(
                        f"group {group!r}: tensor {a.tensor!r} axis {a.axis} has length {length}, expected {lengths[0]}"
                    )
            sizes[group] = int(lengths[0] or 0)
        return sizes

    def axes_of(self) -> dict[str, dict[int, str]]:
        """The same table by tensor: tensor name -> {axis: group}."""
        table: dict[str, dict[int, str]] = {}
        for group, axes in self.groups.items():
            for a in axes:
                table.setdefault(a.tensor, {})[a.axis] = group
        return table

    def identity(self, weights: Weights) -> dict[str, Tensor]:
        """The element that moves nothing."""
        return {group: torch.arange(size) for group, size in self.sizes(weights).items()}

    def random(self, weights: Weights, generator: torch.Generator) -> dict[str, Tensor]:
        """A uniformly drawn element."""
        return {group: torch.randperm(size, generator=generator) for group, size in self.sizes(weights).items()}

    def act(self, permutations: Permutations, weights: Weights) -> dict[str, Tensor]:
        """The relabelled network: the same function, its units in another order."""
        table = self.axes_of()
        return {
            name: permute(tensor, {axis: permutations[g] for axis, g in table.get(name, {}).items()})
            for name, tensor in weights.items()
        }

    def rescale(self, scales: Mapping[str, Tensor], weights: Weights) -> dict[str, Tensor]:
        """Multiply each unit's incoming weights by its positive scale [size] and divide its outgoing ones by it."""
        moved = dict(weights)
        for group, axes in self.groups.items():
            for a in axes:
                if a.power:
                    factor = scales[group].to(moved[a.tensor].dtype) ** a.power
                    moved[a.tensor] = moved[a.tensor] * along(factor, a.axis, moved[a.tensor].ndim)
        return moved


def permute(tensor: Tensor, by_axis: Mapping[int, Tensor]) -> Tensor:
    """Reorder a tensor along several axes."""
    for axis, permutation in by_axis.items():
        tensor = tensor.index_select(axis, permutation.to(tensor.device))
    return tensor


def along(vector: Tensor, axis: int, ndim: int) -> Tensor:
    """A vector shaped to broadcast along one axis of a tensor with `ndim` axes."""
    shape = [1] * ndim
    shape[axis] = -1
    return vector.reshape(shape)


def invert(permutations: Permutations) -> dict[str, Tensor]:
    """The element that undoes another."""
    return {group: torch.argsort(permutation) for group, permutation in permutations.items()}


def compose(first: Permutations, then: Permutations) -> dict[str, Tensor]:
    """One element that acts like `first` followed by `then`."""
    return {group: first[group][then[group]] for group in first}
