"""Distances between networks whatever the order of their units: the least over an architecture's relabellings."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.context import torch_threads
from stages.evaluation.novelty import BLOCK, Own, distances, nearest
from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.layout import Layout
from stages.symmetry.align import Aligner
from stages.symmetry.assign import best_assignment
from stages.symmetry.scale import balance
from stages.symmetry.table import Axis, Symmetry

SMALL = 300_000
"""Parameters below which one thread does it."""
Row = Float[Tensor, " parameters"]


class Nearest(NamedTuple):
    """Each network's L2 distance to the member nearest to it, the same in units of each tensor's spread, and which;
    `as_is` is the distance to the member nearest as the rows are.
    """

    distance: Float[Tensor, " networks"]
    normalised: Float[Tensor, " networks"]
    member: Int[Tensor, " networks"]
    as_is: Float[Tensor, " networks"]


class _Found(NamedTuple):
    """The nearest so far, to be written over: distance, which member, and the difference of the two."""

    distance: Tensor
    member: Tensor
    gap: Tensor


@dataclass(frozen=True)
class Quotient:
    """Finds the members nearest to networks, each relabelled to fit.

    A network is aligned to the member nearest to it as it is; then from where it lies once aligned to the zoo's
    reference, to the member nearest by its sorted values, which no relabelling changes, and to each of the `near`
    members nearest there; to the former also with units paired by their sorted values first. Relabelling keeps
    distances, so the triangle inequality ends the search early: within half of a member's own distance to the others,
    none can be nearer. `near` 0 leaves all rows as they are. `spread` is each tensor's standard deviation, per parameter; `scaled` members had their units rescaled, too.
    `measured` are the positions of the members whose own distances are wanted; None: all. The others end no search.
    """

    members: Float[Tensor, "members parameters"]
    layout: Layout
    aligner: Aligner
    reference: Row
    spread: Row
    near: int
    scaled: bool = False
    measured: Int[Tensor, " measured"] | None = None

    @cached_property
    def which(self) -> Int[Tensor, " measured"]:
        """Positions of the measured members."""
        return torch.arange(len(self.members)) if self.measured is None else self.measured

    @cached_property
    def own(self) -> Nearest:
        """The measured members', each among all others."""
        return self._search(self.members[self.which], self.which)

    def nearest(self, rows: Float[Tensor, "networks parameters"]) -> Nearest:
        """Of networks given as rows, in whatever order their units are."""
        return self._search(rows)

    def _search(self, rows: Tensor, own: Own = None) -> Nearest:
        as_is, member = nearest(rows, self.members, own)
        found = _Found(as_is.clone(), member, self.members[member] - rows)
        if self.near:
            with torch_threads(self._threads):
                rows = self._balanced(rows)
                for i, row in enumerate(rows):
                    self._try(found, i, row, [int(member[i])])
            unsettled = torch.arange(len(rows)) if own is not None else (~self._settled(found)).nonzero().flatten()
            self._look_around(found, rows, unsettled, own)
        return Nearest(found.distance, (found.gap / self.units).double().norm(dim=1), found.member, as_is)

    def _look_around(self, found: "_Found", rows: Tensor, which: Tensor, own: Own) -> None:
        """Try the members likeliest to be near these networks, from where these lie once aligned to the reference."""
        for start, stop in spans(len(which), BLOCK):
            some = which[start:stop]
            with torch_threads(self._threads):
                placed = torch.stack([self._towards(self.reference, rows[i], i) for i in some.tolist()])
            likely = self._near(placed, None if own is None else own[some])
            with torch_threads(self._threads):
                for i, row, near in zip(some.tolist(), placed, likely, strict=True):
                    self._try(found, i, self._by_values(near[0], row), near[:1])
                    self._try(found, i, row, near, early=own is None)

    def _try(self, found: "_Found", i: int, row: Row, members: list[int], early: bool = False) -> None:
        """Align a network to these members, one by one; `early`: until none of the others can be nearer."""
        for j in members:
            if early and self._settled(found, i):
                return
            gap = self.members[j] - self._towards(self.members[j], row, i)
            if (distance := gap.double().norm()) < found.distance[i]:
                found.distance[i], found.member[i], found.gap[i] = distance, j, gap

    def _settled(self, found: "_Found", i: int | slice = slice(None)) -> Tensor:
        """Which networks have no member nearer than the one found."""
        return found.distance[i] <= self._reach[found.member[i]]

    @cached_property
    def _reach(self) -> Float[Tensor, " members"]:
        """How far from each member no other one can be nearer; nowhere, if its own distance wasn't measured."""
        reach = torch.zeros(len(self.members), dtype=torch.float64)
        reach[self.which] = self.own.distance.double() / 2
        return reach

    def _near(self, placed: Tensor, own: Own) -> list[list[int]]:
        """The members to align each network to, the likeliest first."""
        near = min(self.near, len(self.members) - (own is not None))
        by_place = distances(placed, self.members, own).topk(near, largest=False).indices
        by_values = distances(self._sorted(placed), self._signatures, own).argmin(1)
        both = zip(by_values.tolist(), by_place.tolist(), strict=True)
        return [list(dict.fromkeys([first, *places])) for first, places in both]

    def _by_values(self, member: int, row: Row) -> Tensor:
        """The network with its units paired with a member's by their sorted values: a start from which the descent
        finds back to a copy, where from others it may end in a local optimum.
        """
        weights, target, pairs = self.layout.unflatten(row), self.layout.unflatten(self.members[member]), {}
        for name in self._symmetry.children:
            cost = torch.zeros(())
            for a in self._symmetry.groups[name].axes:
                theirs, ours = (self._units_of(name, a, some[a.tensor]) for some in (target, weights))
                cost = cost + torch.cdist(theirs, ours)
            pairs[name] = best_assignment(-cost)
        return self.layout.flatten(self._symmetry.act(pairs, weights))

    def _units_of(self, group: str, a: Axis, tensor: Tensor) -> Tensor:
        """Each unit's values in one place, sorted: [units, values]."""
        places = self._symmetry.places(group, a)
        return tensor.movedim(a.axis, 0)[places.flatten()].reshape(len(places), -1).sort(1).values

    def _towards(self, target: Row, row: Row, number: int) -> Tensor:
        """The relabelling of a network that lies closest to the target."""
        weights, names = self.layout.unflatten(row), [slot.name for slot in self.layout.slots]
        element = self._matcher.element(self.layout.unflatten(target), weights, names, generator("quotient", number))
        return self.layout.flatten(self._symmetry.act(element, weights))

    def _balanced(self, rows: Tensor) -> Tensor:
        """Networks with their units' scales as the members have them."""
        if not self.scaled or not len(rows):
            return rows
        found = [self.layout.unflatten(row) for row in rows]
        return torch.stack([self.layout.flatten(self._symmetry.rescale(balance(self._symmetry, w), w)) for w in found])

    @property
    def _threads(self) -> int:
        """Small networks make small products, which a second thread only slows down."""
        return 1 if self.layout.parameters < SMALL else torch.get_num_threads()

    @cached_property
    def _symmetry(self) -> Symmetry:
        return self.aligner.symmetry.on([slot.name for slot in self.layout.slots])

    @cached_property
    def _matcher(self) -> Aligner:
        """The zoo's own; of members that were left as they are, Git Re-Basin's: a relabelled copy is a copy still."""
        method = "rebasin" if self.aligner.method == "none" else self.aligner.method
        return replace(self.aligner, symmetry=self._symmetry, method=method)

    @cached_property
    def units(self) -> Row:
        """Each parameter's unit of length: its tensor's spread, 1 where there is none."""
        return torch.where(self.spread > 0, self.spread, torch.ones_like(self.spread))

    @cached_property
    def _signatures(self) -> Tensor:
        return self._sorted(self.members)

    def _sorted(self, rows: Tensor) -> Tensor:
        """Each tensor's values in order. No relabelling brings two networks closer than these are."""
        parts = rows.split([slot.size for slot in self.layout.slots], dim=1)
        return torch.cat([part.sort(1).values for part in parts], dim=1)
