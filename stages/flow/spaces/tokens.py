"""Neuron tokens: units with the weights that are theirs alone, and pairs of units with the weights between them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.flow.coupling import assignment
from stages.flow.spaces.base import Decoder, Space, State
from stages.params.fit import NeuronTokens
from stages.store.chunks import spans
from stages.store.layout import Layout, Slot
from stages.store.weights import Weights, is_train
from stages.symmetry.table import Symmetry

STD_FLOOR = 1e-6
"""Values that spread less than this share of the widest in their set count as constant: they keep their scale."""
VARIANCE_FLOOR = 1e-4
"""Variances along principal axes count as at least this, in units of a standardized value's."""
BLOCK = 256
"""Members read at once while the tokens' statistics are measured."""
TENSORS = ("positions", "mean", "std", "axes", "variance")
"""What is stored of a set of tokens."""


class Shape(NamedTuple):
    """The size of a set of tokens, and the two sets of units that they lie between (None: they are units)."""

    tokens: int
    features: int
    ends: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenSet:
    """Tokens of one kind: the positions of each one's values in a row, and how values become features.

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
        return TokenSet(**{name: getattr(self, name).to(device) for name in TENSORS}, ends=self.ends)

    @property
    def shape(self) -> Shape:
        """How many tokens of how many features, and what they lie between."""
        tokens, features = self.positions.shape
        return Shape(tokens, features, self.ends)


@dataclass(frozen=True)
class Tokens(Space, Decoder):
    """A row of weights as sets of tokens, end to end: [parameters]; every weight is in exactly one token.

    Each outer permutation group is a set of units: neurons, channels, heads, channels of a residual stream. A weight
    that one group moves is a feature of its unit; one that two groups move belongs to the pair of units (a third
    group's order, as the order within heads, is kept as it is). What no group moves (an output bias) makes one token
    per tensor. Relabelling a network reorders its units, and its pairs with them; it changes nothing else.
    """

    sets: tuple[TokenSet, ...]
    canonical = False

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

    def encode(self, packed: Weights, index: np.ndarray) -> Float[Tensor, "index dim"]:
        """Tokens of packed networks."""
        return self.encode_rows(packed.pick(index))

    def decode(self, points: Float[Tensor, "n dim"], packed: Weights) -> Float[Tensor, "n parameters"]:
        """Rows of weights from tokens; no member takes part."""
        del packed
        return self.decode_rows(points)

    def encode_rows(self, rows: Float[Tensor, "n parameters"]) -> Float[Tensor, "n dim"]:
        """Tokens of networks."""
        return torch.cat([((rows[:, s.positions] - s.mean) / s.std @ s.axes).flatten(1) for s in self.sets], dim=1)

    def decode_rows(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """Rows of weights from tokens."""
        return self._rows([values + s.mean for s, values in zip(self.sets, self._deviations(points), strict=True)])

    def decode_velocity(self, velocities: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """Velocities of rows from velocities of tokens."""
        return self._rows(self._deviations(velocities))

    def _deviations(self, points: Tensor) -> list[Tensor]:
        """Values minus their means, set by set, [n, tokens, features] each."""
        tokens = split(points, self.shapes)
        return [features @ s.axes.T * s.std for s, features in zip(self.sets, tokens, strict=True)]

    def _rows(self, values: list[Tensor]) -> Tensor:
        return torch.cat([tokens.flatten(1) for tokens in values], dim=1)[:, self._order]

    @cached_property
    def _order(self) -> Int[Tensor, " parameters"]:
        """The place of each weight of a row among the values of all tokens."""
        return torch.cat([s.positions.flatten() for s in self.sets]).argsort()

    def centre(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, " dim"]:
        """Zero, the mean over units in any order."""
        return torch.zeros_like(points.mean(0))

    def match_units(self, x0: Float[Tensor, "n dim"], x1: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """The noise x0 with its units reordered so that, network by network and set by set, their own features lie
        nearest to x1's; pairs move with their units.

        The linear assignment of least squared distance (equivariant optimal transport, Klein et al., arXiv 2306.15030).
        Units of one set are drawn alike, so a reordered draw is as good a draw.
        """
        noise, data = split(x0, self.shapes), split(x1, self.shapes)
        unit_sets = [i for i, shape in enumerate(self.shapes) if shape.ends is None]
        orders = [_unit_order(noise[i], data[i]) for i in unit_sets]
        matched = [_reorder(noise[i], orders[i], 1) for i in unit_sets]
        for tokens, shape in zip(noise[len(orders) :], self.shapes[len(orders) :], strict=True):
            assert shape.ends is not None, "units come before pairs"
            first, second = (orders[end] for end in shape.ends)
            pairs = tokens.unflatten(1, (first.shape[1], second.shape[1]))
            matched.append(_reorder(_reorder(pairs, first, 1), second, 2).flatten(1, 2))
        return torch.cat([tokens.flatten(1) for tokens in matched], 1)

    def to(self, device: torch.device) -> "Tokens":
        """The same on a device."""
        return Tokens(tuple(s.to(device) for s in self.sets))

    def decoder(self, device: torch.device) -> Decoder:
        """Itself, on the device."""
        return self.to(device)

    def state(self) -> State:
        """All sets' positions and statistics."""
        tensors = {f"{i}.{name}": getattr(s, name) for i, s in enumerate(self.sets) for name in TENSORS}
        return tensors, {"kind": "tokens", "ends": [s.ends for s in self.sets]}


def make(packed: Weights, params: NeuronTokens) -> Tokens:
    """The tokens of packed networks, as they vary over the training members."""
    del params
    train = is_train(packed)
    blocks = (packed.rows(start, stop)[train[start:stop]] for start, stop in spans(len(packed), BLOCK))
    return tokens_of(packed.layout, Symmetry.from_json(packed.attrs["symmetry"]), blocks)


def load(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Tokens:
    """The inverse of `Tokens.state`."""
    ends = [(pair[0], pair[1]) if pair else None for pair in facts["ends"]]
    stored = [{name: tensors[f"{i}.{name}"] for name in TENSORS} for i in range(len(ends))]
    return Tokens(tuple(TokenSet(**values, ends=pair) for values, pair in zip(stored, ends, strict=True)))


def split(points: Float[Tensor, "n dim"], shapes: tuple[Shape, ...]) -> list[Tensor]:
    """The tokens of every set, [n, tokens, features] each."""
    sets = points.split([s.tokens * s.features for s in shapes], dim=1)
    return [values.unflatten(1, (s.tokens, s.features)) for values, s in zip(sets, shapes, strict=True)]


def _unit_order(noise: Float[Tensor, "n units features"], data: Float[Tensor, "n units features"]) -> Tensor:
    """For every network, the unit of noise that goes with each unit of data: [n, units]."""
    n, units, features = noise.shape
    if units == 1 or not features:
        return torch.arange(units, device=noise.device).expand(n, units)
    return torch.stack([assignment(products) for products in data @ noise.transpose(1, 2)])


def _reorder(values: Tensor, order: Int[Tensor, "n units"], axis: int) -> Tensor:
    """Reorder one axis of every network's values."""
    index = order.reshape(order.shape[0], *(order.shape[1] if i == axis else 1 for i in range(1, values.ndim)))
    return values.gather(axis, index.expand_as(values))


def tokens_of(layout: Layout, symmetry: Symmetry, blocks: Iterable[Float[Tensor, "_ parameters"]]) -> Tokens:
    """The tokens of networks of this layout, as they vary over these members, which are read once, block by block."""
    sets = list(_positions(layout, symmetry))
    moments = [_Moments(positions) for positions, _ in sets]
    for rows in blocks:
        for m in moments:
            m.add(rows)
    return Tokens(tuple(m.token_set(ends) for m, (_, ends) in zip(moments, sets, strict=True)))


def _positions(layout: Layout, symmetry: Symmetry) -> Iterator[tuple[Tensor, tuple[int, int] | None]]:
    """Each set's positions in a row, [tokens, values], and the sets that it lies between; sets of units come first."""
    pieces: dict[tuple[str, ...], list[Tensor]] = {(group,): [] for group in symmetry.children}
    for slot in layout.slots:
        for groups, positions in _pieces(slot, symmetry):
            pieces.setdefault(groups or (f"{slot.name} alone",), []).append(positions)
    paired = {group for key in pieces if len(key) == 2 for group in key}
    units = {key[0]: values for key, values in pieces.items() if len(key) == 1 and (values or key[0] in paired)}
    for group, values in units.items():
        if values:
            yield torch.cat(values, dim=1), None
        else:  # units all of whose weights are between them and others
            yield torch.empty(symmetry.groups[group].size, 0, dtype=torch.int64), None
    order = list(units)
    for (a, b), values in ((key, values) for key, values in pieces.items() if len(key) == 2):
        yield torch.cat(values, dim=2).flatten(0, 1), (order.index(a), order.index(b))


def _pieces(slot: Slot, symmetry: Symmetry) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """A tensor cut by the groups that move it: their names, and positions [units, values], [units, units, values] or,
    where none does, [1, values].
    """
    whole = slot.offset + torch.arange(slot.size).reshape(slot.shape)
    order = list(symmetry.children)
    for runs in product(*(_runs(slot, axis, symmetry) for axis in range(len(slot.shape)))):
        piece = whole
        for axis, (_, places) in reversed(list(enumerate(runs))):
            piece = piece.index_select(axis, places.flatten()).unflatten(axis, places.shape)
        groups = sorted([(order.index(name), 2 * axis) for axis, (name, _) in enumerate(runs) if name is not None][:2])
        piece = piece.movedim([axis for _, axis in groups], list(range(len(groups))))
        yield tuple(order[i] for i, _ in groups), piece.reshape(*piece.shape[: len(groups)] or (1,), -1)


def _runs(slot: Slot, axis: int, symmetry: Symmetry) -> Iterator[tuple[str | None, Tensor]]:
    """An axis cut by outer groups: the group and its units' positions, [units, width]; then the rest, [1, width]."""
    rest = torch.ones(slot.shape[axis], dtype=torch.bool)
    for name in symmetry.children:
        for a in symmetry.groups[name].axes:
            if (a.tensor, a.axis) == (slot.name, axis):
                places = symmetry.places(name, a)
                rest[places.flatten()] = False
                yield name, places
    if rest.any():
        yield None, rest.nonzero().T


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
        std = torch.where(std > STD_FLOOR * std.max(), std, torch.ones_like(std)) if len(std) else std
        variance, axes = torch.linalg.eigh(covariance / torch.outer(std, std))
        features = mean.float(), std.float(), axes.float(), variance.clamp_min(VARIANCE_FLOOR).float()
        return TokenSet(self.positions, *features, ends)
