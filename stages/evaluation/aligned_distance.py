"""Distances between networks whatever the order of their units: the least over an architecture's relabellings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stages.canonical.form import CanonicalForm, Row
from stages.canonical.sorted_values import sorted_values
from stages.context import torch_threads
from stages.seeds import generator
from stages.store.chunks import spans
from stages.symmetry.rebasin import best_assignment
from stages.symmetry.table import Axis

Rows = Float[Tensor, "networks parameters"]
Members = Float[Tensor, "members parameters"]
Runs = Int[Tensor, " members"]
"""The members' training runs by number: checkpoints of one run are no news to each other."""
Own = Int[Tensor, " networks"] | None
"""The runs that networks are of, if these are members: each is then compared with members of other runs only."""
BLOCK = 256
"""Networks compared with all members at once."""
SMALL = 300_000
"""Parameters below which one thread does it: a second one only slows small products down."""


class Nearest(NamedTuple):
    """Each network's L2 distance to the member nearest to it, the same in units of each tensor's spread, and which;
    `as_is` is the distance to the member nearest as the rows are.
    """

    distance: Float[Tensor, " networks"]
    normalised: Float[Tensor, " networks"]
    member: Int[Tensor, " networks"]
    as_is: Float[Tensor, " networks"]


class _Best(NamedTuple):
    """The nearest so far, to be written over: distance, which member, and the difference of the two rows."""

    distance: Tensor
    member: Tensor
    gap: Tensor


@dataclass(frozen=True)
class AlignedDistance:
    """Finds the members nearest to networks, each relabelled to fit.

    A network is aligned to the member nearest to it as it is; then from where it lies once aligned to the zoo's
    reference, to the member nearest by its sorted values, which no relabelling changes, and to each of the `nearby`
    members nearest there; to the former also with units paired by their sorted values first. Relabelling keeps
    distances, so the triangle inequality ends the search early: within half of a member's own distance to the others,
    none can be nearer. `nearby` 0 leaves all rows as they are. `spread` is each tensor's standard deviation, per
    parameter. `measured` are the positions of the members whose own distances are wanted; None: all. The others end no
    search. `runs` are the members' training runs; None: every member is a run of its own.
    """

    members: Members
    form: CanonicalForm
    reference: Row
    spread: Row
    nearby: int
    measured: Int[Tensor, " measured"] | None = None
    runs: Runs | None = None

    @cached_property
    def run_of(self) -> Runs:
        """The members' runs."""
        return torch.arange(len(self.members)) if self.runs is None else self.runs

    @cached_property
    def which(self) -> Int[Tensor, " measured"]:
        """Positions of the measured members."""
        return torch.arange(len(self.members)) if self.measured is None else self.measured

    @cached_property
    def own(self) -> Nearest:
        """The measured members', each among those of all other runs."""
        return self._search(self.members[self.which], self.run_of[self.which])

    def nearest(self, rows: Rows) -> Nearest:
        """Of networks given as rows, in whatever order their units are."""
        return self._search(rows)

    def _search(self, rows: Rows, own: Own = None) -> Nearest:
        as_is, member = nearest(rows, self.members, own, self.run_of)
        best = _Best(as_is.clone(), member, self.members[member] - rows)
        if self.nearby:
            with torch_threads(self._threads):
                rows = torch.stack([self._form.balanced(row) for row in rows]) if len(rows) else rows
                for i, row in enumerate(rows):
                    self._try(best, i, row, [int(member[i])])
            unsettled = torch.arange(len(rows)) if own is not None else (~self._settled(best)).nonzero().flatten()
            self._look_around(best, rows, unsettled, own)
        return Nearest(best.distance, (best.gap / self.units).double().norm(dim=1), best.member, as_is)

    def _look_around(self, best: _Best, rows: Rows, which: Tensor, own: Own) -> None:
        """Try the members likeliest to be near these networks, from where these lie once aligned to the reference."""
        for start, stop in spans(len(which), BLOCK):
            batch = which[start:stop]
            with torch_threads(self._threads):
                placed = torch.stack([self._aligned(self.reference, rows[i], i) for i in batch.tolist()])
            likely = self._likely(placed, None if own is None else own[batch])
            with torch_threads(self._threads):
                for i, row, near in zip(batch.tolist(), placed, likely, strict=True):
                    self._try(best, i, self._paired_by_values(near[0], row), near[:1])
                    self._try(best, i, row, near, early=own is None)

    def _try(self, best: _Best, i: int, row: Row, members: list[int], early: bool = False) -> None:
        """Align a network to these members, one by one; `early`: until none of the others can be nearer."""
        for j in members:
            if early and self._settled(best, i):
                return
            gap = self.members[j] - self._aligned(self.members[j], row, i)
            if (distance := gap.double().norm()) < best.distance[i]:
                best.distance[i], best.member[i], best.gap[i] = distance, j, gap

    def _settled(self, best: _Best, i: int | slice = slice(None)) -> Tensor:
        """Which networks have no member nearer than the best so far."""
        return best.distance[i] <= self._reach[best.member[i]]

    @cached_property
    def _reach(self) -> Float[Tensor, " members"]:
        """How far from each member no other one can be nearer; nowhere, if its distance to all others isn't known."""
        reach = torch.zeros(len(self.members), dtype=torch.float64)
        if self.runs is None:
            reach[self.which] = self.own.distance.double() / 2
        return reach

    def _likely(self, placed: Rows, own: Own) -> list[list[int]]:
        """The members to align each network to, the likeliest first."""
        others = len(self.members) - (int(self.run_of.bincount().max()) if own is not None else 0)
        by_place = distances(placed, self.members, own, self.run_of).topk(min(self.nearby, others), largest=False)
        by_values = distances(self.signatures_of(placed), self._signatures, own, self.run_of).argmin(1)
        both = zip(by_values.tolist(), by_place.indices.tolist(), strict=True)
        return [list(dict.fromkeys([first, *places])) for first, places in both]

    def _paired_by_values(self, member: int, row: Row) -> Row:
        """The network with its units paired with a member's by their sorted values.

        A start from which the descent finds back to a copy, where from others it may end in a local optimum.
        """
        layout, symmetry = self._form.layout, self._form.symmetry
        weights, target, pairs = layout.unflatten(row), layout.unflatten(self.members[member]), {}
        for name in symmetry.children:
            cost = torch.zeros(())
            for a in symmetry.groups[name].axes:
                theirs, ours = (self._unit_values(name, a, tensors[a.tensor]) for tensors in (target, weights))
                cost = cost + torch.cdist(theirs, ours)
            pairs[name] = best_assignment(-cost)
        return layout.flatten(symmetry.act(pairs, weights))

    def _unit_values(self, group: str, a: Axis, tensor: Tensor) -> Float[Tensor, "units values"]:
        """Each unit's values in one place, sorted; without their signs where these may change."""
        places, tensor = self._form.symmetry.places(group, a), tensor.abs() if a.flips else tensor
        return tensor.movedim(a.axis, 0)[places.flatten()].reshape(len(places), -1).sort(1).values

    def _aligned(self, target: Row, row: Row, number: int) -> Row:
        """The relabelling of a network that lies closest to the target."""
        return self._form.aligned(target, row, generator("quotient", number))

    @cached_property
    def _form(self) -> CanonicalForm:
        """The zoo's own; of members that weren't aligned, Git Re-Basin's: a relabelled copy is still a copy."""
        return self.form.by_matching

    @property
    def _threads(self) -> int:
        return 1 if self.form.layout.size < SMALL else torch.get_num_threads()

    @cached_property
    def units(self) -> Row:
        """Each parameter's unit of length: its tensor's spread, 1 where there is none."""
        return torch.where(self.spread > 0, self.spread, torch.ones_like(self.spread))

    @cached_property
    def _signatures(self) -> Members:
        return self.signatures_of(self.members)

    def signatures_of(self, rows: Tensor) -> Tensor:
        """Sorted values of networks: no relabelling brings two networks closer than these are."""
        return sorted_values(self.form.layout, self._form.symmetry, rows)


def distances(
    rows: Rows, members: Members, own: Own = None, runs: Runs | None = None
) -> Float[Tensor, "networks members"]:
    """L2 distances as the rows are; infinite to members of the network's own run."""
    targets = members.double()
    parts = torch.cat([torch.cdist(rows[block].double(), targets) for block, _ in blocks(len(rows))])
    return parts if own is None else parts.masked_fill_(same_run(own, runs, len(members)), torch.inf)


def same_run(own: Int[Tensor, " networks"], runs: Runs | None, members: int) -> Bool[Tensor, "networks members"]:
    """Which members are of each network's own run; by default each member is a run of its own."""
    return own[:, None] == (torch.arange(members) if runs is None else runs)


def nearest(
    rows: Rows, members: Members, own: Own = None, runs: Runs | None = None
) -> tuple[Float[Tensor, " networks"], Int[Tensor, " networks"]]:
    """L2 distance to the nearest member as the rows are, and which one it is."""
    targets = members.double()
    parts = [distances(rows[block], targets, mine, runs).min(1) for block, mine in blocks(len(rows), own)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def blocks(count: int, own: Own = None) -> Iterator[tuple[slice, Own]]:
    """A few networks at a time: what is held of each is as long as there are members."""
    for start, stop in spans(max(count, 1), BLOCK):
        yield slice(start, stop), None if own is None else own[start:stop]
