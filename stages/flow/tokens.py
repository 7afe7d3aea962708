"""Neuron tokens: a network as sets of units, each unit with all the weights that touch it."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.store.layout import Layout
from stages.symmetry.table import Axis, Symmetry

FLOOR = 1e-6
"""Features that spread less than this share of the widest in their set count as constant: they keep their scale."""


@dataclass(frozen=True)
class TokenSet:
    """Tokens of one kind: where each one's values lie in a row, and how a feature is standardized.

    Mean and deviation are over members and tokens together, so that they don't tell one unit from another.
    """

    positions: Int[Tensor, "tokens features"]
    mean: Float[Tensor, " features"]
    std: Float[Tensor, " features"]

    @property
    def shape(self) -> tuple[int, int]:
        """(tokens, features)."""
        tokens, features = self.positions.shape
        return tokens, features


@dataclass(frozen=True)
class Tokens:
    """A row of weights as sets of standardized tokens, end to end: [dim].

    Units of every outer permutation group that isn't a stream are tokens: their incoming weights, biases, statistics
    and outgoing weights. What no such group touches (an output bias) makes one token per tensor. A weight between two
    such groups is in two tokens; decoding takes the mean of both.
    """

    sets: tuple[TokenSet, ...]
    parameters: int

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(tokens, features) of every set."""
        return tuple(s.shape for s in self.sets)

    @property
    def dim(self) -> int:
        """Values of all tokens."""
        return sum(s.positions.numel() for s in self.sets)

    def encode(self, rows: Float[Tensor, "n parameters"]) -> Float[Tensor, "n dim"]:
        """Standardized tokens of networks."""
        return torch.cat([((rows[:, s.positions] - s.mean) / s.std).flatten(1) for s in self.sets], dim=1)

    def decode(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """Rows of weights from tokens."""
        total = torch.zeros(len(points), self.parameters)
        count = torch.zeros(self.parameters)
        for s, part in zip(self.sets, split(points, self.shapes), strict=True):
            values = (part * s.std + s.mean).flatten(1)
            total.index_add_(1, s.positions.flatten(), values)
            count.index_add_(0, s.positions.flatten(), torch.ones(s.positions.numel()))
        return total / count


def split(points: Float[Tensor, "n dim"], shapes: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """The tokens of every set, [n, tokens, features] each."""
    parts = points.split([tokens * features for tokens, features in shapes], dim=1)
    return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]


def tokens_of(layout: Layout, symmetry: Symmetry, rows: Float[Tensor, "members parameters"]) -> Tokens:
    """The tokens of networks of this layout, standardized over these members."""
    found, covered = [], torch.zeros(layout.parameters, dtype=torch.bool)
    for positions in _positions(layout, symmetry):
        covered[positions.flatten()] = True
        found.append(positions)
    for slot in layout.slots:
        left = torch.arange(slot.offset, slot.offset + slot.size)
        if len(left := left[~covered[left]]):
            found.append(left[None])
    return Tokens(tuple(_standardized(positions, rows) for positions in found), layout.parameters)


def _positions(layout: Layout, symmetry: Symmetry) -> Iterator[Tensor]:
    """For every group whose units are tokens, where each unit's values lie in a row: [units, values]."""
    slots = {slot.name: slot for slot in layout.slots}
    for name, group in symmetry.groups.items():
        axes = [a for a in group.axes if a.tensor in slots]
        if group.within is None and not group.stream and axes:
            parts = [_units(slots[a.tensor].offset, slots[a.tensor].shape, symmetry, name, a) for a in axes]
            yield torch.cat(parts, dim=1)


def _units(offset: int, shape: tuple[int, ...], symmetry: Symmetry, name: str, a: Axis) -> Tensor:
    where = offset + torch.arange(torch.Size(shape).numel()).reshape(shape).movedim(a.axis, 0)
    places = symmetry.places(name, a)
    return where[places.flatten()].reshape(len(places), -1)


def _standardized(positions: Tensor, rows: Tensor) -> TokenSet:
    values = rows[:, positions].flatten(0, 1).double()
    std = values.std(0, correction=0)
    std = torch.where(std > FLOOR * std.max(), std, torch.ones_like(std))
    return TokenSet(positions, values.mean(0).float(), std.float())
