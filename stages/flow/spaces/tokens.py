"""A network as sets of tokens: its units with the weights that are theirs alone, and pairs of units with those between."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.store.layout import Layout, Slot
from stages.symmetry.table import Symmetry

FLOOR = 1e-6
"""Values that spread less than this share of the widest in their set count as constant: they keep their scale."""
LEAST = 1e-4
"""Variances along principal axes count as at least this, in units of a standardized value's."""


class Shape(NamedTuple):
    """A set of tokens: how many, of how many values, and between the units of which two sets they lie (None: units)."""

    tokens: int
    features: int
    ends: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenSet:
    """Tokens of one kind: where each one's values lie in a row, and how they become features.

    Values are standardized, then turned into their principal axes, along which they have `variance`. All that is over
    members and tokens together, so that it doesn't tell one unit from another. Pairs run through the second unit first.
    """

    positions: Int[Tensor, "tokens features"]
    mean: Float[Tensor, " features"]
    std: Float[Tensor, " features"]
    axes: Float[Tensor, "features features"]
    variance: Float[Tensor, " features"]
    ends: tuple[int, int] | None = None

    def to(self, device: torch.device) -> "TokenSet":
        """The same on a device."""
        features = (tensor.to(device) for tensor in (self.mean, self.std, self.axes, self.variance))
        return TokenSet(self.positions.to(device), *features, ends=self.ends)

    @property
    def shape(self) -> Shape:
        """How many tokens of how many features, and what they lie between."""
        tokens, features = self.positions.shape
        return Shape(tokens, features, self.ends)


@dataclass(frozen=True)
class Tokens:
    """A row of weights as sets of tokens, end to end: [parameters]; every weight is in exactly one token.

    Each outer permutation group is a set of units: neurons, channels, heads, channels of a residual stream. A weight that
    one group moves is a feature of its unit; one that two groups move belongs to the pair of units (a third group's order,
    as the order within heads, is kept as it is). What no group moves (an output bias) makes one token per tensor.
    Relabelling a network reorders its units, and its pairs with them; it changes nothing else.
    """

    sets: tuple[TokenSet, ...]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Of every set; sets of units come before those of pairs."""
        return tuple(s.shape for s in self.sets)

    @property
    def dim(self) -> int:
        """Values of all tokens: as many as there are parameters."""
        return sum(s.positions.numel() for s in self.sets)

    @property
    def variance(self) -> Float[Tensor, " dim"]:
        """Of every value of a point."""
        return torch.cat([s.variance.expand(s.positions.shape).flatten() for s in self.sets])

    def encode(self, rows: Float[Tensor, "n parameters"]) -> Float[Tensor, "n dim"]:
        """Tokens of networks."""
        return torch.cat([((rows[:, s.positions] - s.mean) / s.std @ s.axes).flatten(1) for s in self.sets], dim=1)

    def decode(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """Rows of weights from tokens."""
        return self._rows([moved + s.mean for s, moved in zip(self.sets, self._turned(points), strict=True)])

    def push(self, velocities: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """How rows of weights move as tokens do."""
        return self._rows(self._turned(velocities))

    def to(self, device: torch.device) -> "Tokens":
        """The same on a device."""
        return Tokens(tuple(s.to(device) for s in self.sets))

    def _turned(self, points: Tensor) -> list[Tensor]:
        """Values as far from their means."""
        parts = split(points, self.shapes)
        return [part @ s.axes.T * s.std for s, part in zip(self.sets, parts, strict=True)]

    def _rows(self, parts: list[Tensor]) -> Tensor:
        return torch.cat([part.flatten(1) for part in parts], dim=1)[:, self._order]

    @cached_property
    def _order(self) -> Int[Tensor, " parameters"]:
        """Where each weight of a row is among the values of all tokens."""
        return torch.cat([s.positions.flatten() for s in self.sets]).argsort()


def split(points: Float[Tensor, "n dim"], shapes: tuple[Shape, ...]) -> list[Tensor]:
    """The tokens of every set, [n, tokens, features] each."""
    parts = points.split([s.tokens * s.features for s in shapes], dim=1)
    return [part.unflatten(1, (s.tokens, s.features)) for part, s in zip(parts, shapes, strict=True)]


def tokens_of(layout: Layout, symmetry: Symmetry, blocks: Iterable[Float[Tensor, "_ parameters"]]) -> Tokens:
    """The tokens of networks of this layout, as they vary over these members, which are read once, block by block."""
    places = list(_sets(layout, symmetry))
    sums = [_Moments(positions) for positions, _ in places]
    for rows in blocks:
        for moments in sums:
            moments.add(rows)
    return Tokens(tuple(m.token_set(ends) for m, (_, ends) in zip(sums, places, strict=True)))


def _sets(layout: Layout, symmetry: Symmetry) -> Iterator[tuple[Tensor, tuple[int, int] | None]]:
    """Where the tokens of each set lie in a row, [tokens, values], and what they lie between; units come first."""
    found: dict[tuple[str, ...], list[Tensor]] = {(name,): [] for name in symmetry.children}
    for slot in layout.slots:
        for groups, positions in _parts(slot, symmetry):
            key = groups or (f"{slot.name} alone",)
            found.setdefault(key, []).append(positions)
    units = {key[0]: parts for key, parts in found.items() if len(key) == 1 and (parts or _paired(key[0], found))}
    for name, parts in units.items():
        yield (torch.cat(parts, dim=1) if parts else _no_values(symmetry, name)), None
    order = list(units)
    for (a, b), parts in ((key, parts) for key, parts in found.items() if len(key) == 2):
        yield torch.cat(parts, dim=2).flatten(0, 1), (order.index(a), order.index(b))


def _paired(group: str, found: Iterable[tuple[str, ...]]) -> bool:
    return any(group in key for key in found if len(key) == 2)


def _no_values(symmetry: Symmetry, group: str) -> Tensor:
    """Units all of whose weights are between them and others."""
    return torch.empty(symmetry.groups[group].size, 0, dtype=torch.int64)


def _parts(slot: Slot, symmetry: Symmetry) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """A tensor cut by the groups that move it: their names, and positions [units, values], [units, units, values] or,
    where none does, [1, values].
    """
    where = slot.offset + torch.arange(slot.size).reshape(slot.shape)
    order = list(symmetry.children)
    for runs in product(*(_runs(slot, axis, symmetry) for axis in range(len(slot.shape)))):
        part = where
        for axis, (_, places) in reversed(list(enumerate(runs))):
            part = part.index_select(axis, places.flatten()).unflatten(axis, places.shape)
        moved = [(order.index(name), 2 * axis) for axis, (name, _) in enumerate(runs) if name is not None][:2]
        axes = [axis for _, axis in sorted(moved)]
        part = part.movedim(axes, list(range(len(axes))))
        yield tuple(order[i] for i, _ in sorted(moved)), part.reshape(*part.shape[: len(axes)] or (1,), -1)


def _runs(slot: Slot, axis: int, symmetry: Symmetry) -> Iterator[tuple[str | None, Tensor]]:
    """An axis cut by outer groups: whose units lie there, and their positions [units, width]; what is left, [1, width]."""
    left = torch.ones(slot.shape[axis], dtype=torch.bool)
    for name in symmetry.children:
        for a in symmetry.groups[name].axes:
            if (a.tensor, a.axis) == (slot.name, axis):
                places = symmetry.places(name, a)
                left[places.flatten()] = False
                yield name, places
    if left.any():
        yield None, left.nonzero().T


class _Moments:
    """Sums over members and tokens, in double precision, from which a set's features are made."""

    def __init__(self, positions: Tensor) -> None:
        self.positions, self.count = positions, 0
        features = positions.shape[1]
        self.total = torch.zeros(features, dtype=torch.float64)
        self.products = torch.zeros(features, features, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        values = rows[:, self.positions].flatten(0, 1).double()
        self.count += len(values)
        self.total += values.sum(0)
        self.products += values.T @ values

    def token_set(self, ends: tuple[int, int] | None) -> TokenSet:
        mean = self.total / self.count
        covariance = self.products / self.count - torch.outer(mean, mean)
        std = covariance.diagonal().clamp_min(0).sqrt()
        std = torch.where(std > FLOOR * std.max(), std, torch.ones_like(std)) if len(std) else std
        variance, axes = torch.linalg.eigh(covariance / torch.outer(std, std))
        kept = mean.float(), std.float(), axes.float(), variance.clamp_min(LEAST).float()
        return TokenSet(self.positions, *kept, ends)
