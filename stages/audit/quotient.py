"""Distances between networks whatever the order of their units: the least over an architecture's relabellings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.audit.novelty import distances
from stages.seeds import generator
from stages.store.layout import Layout
from stages.symmetry.align import Aligner
from stages.symmetry.scale import balance

Row = Float[Tensor, " parameters"]


class Nearest(NamedTuple):
    """Each network's L2 distance to the member nearest to it, the same in units of each tensor's spread, and which."""

    distance: Float[Tensor, " networks"]
    normalised: Float[Tensor, " networks"]
    member: Int[Tensor, " networks"]


@dataclass(frozen=True)
class Quotient:
    """Finds the members nearest to networks, each relabelled to fit.

    A network is first aligned to the zoo's reference, then to each of the `near` members nearest to it there, and to
    the one nearest by its sorted values, which no relabelling changes. Relabelling keeps distances, so the triangle
    inequality ends the search early: within half of a member's own distance to the others, none can be nearer.
    `spread` is each tensor's standard deviation, per parameter; `scaled` members had their units rescaled, too.
    """

    members: Float[Tensor, "members parameters"]
    layout: Layout
    aligner: Aligner
    reference: Row
    spread: Row
    near: int
    scaled: bool = False

    @cached_property
    def own(self) -> Nearest:
        """The members', each among the others."""
        return self._search(self.members, themselves=True)

    def nearest(self, rows: Float[Tensor, "networks parameters"], themselves: bool = False) -> Nearest:
        """Of networks given as rows, in whatever order their units are; `themselves`: they are the members."""
        return self.own if themselves else self._search(rows, themselves=False)

    def _search(self, rows: Tensor, themselves: bool) -> Nearest:
        distance, member = distances(rows, self.members, themselves).min(1)
        best = self.members[member] - rows
        apart = torch.zeros(len(self.members)) if themselves else self.own.distance / 2
        unsettled = (distance > apart[member]).nonzero().flatten() if self.near else torch.arange(0)
        placed = [self._towards(self.reference, rows[i], i) for i in unsettled.tolist()]
        for i, row, candidates in zip(
            unsettled.tolist(), placed, self._near(placed, unsettled, themselves), strict=True
        ):
            for j in candidates:
                gap = self.members[j] - self._towards(self.members[j], row, i)
                if (found := gap.double().norm()) < distance[i]:
                    distance[i], member[i], best[i] = found, j, gap
                if distance[i] <= apart[member[i]]:
                    break
        return Nearest(distance, (best / self._units).double().norm(dim=1), member)

    def _near(self, placed: list[Tensor], which: Tensor, themselves: bool) -> Iterator[list[int]]:
        """The members to align each network to, the likeliest first."""
        if not placed:
            return
        rows, near = torch.stack(placed), min(self.near, len(self.members) - themselves)
        by_place, by_values = distances(rows, self.members), distances(self._sorted(rows), self._signatures)
        if themselves:
            for found in (by_place, by_values):
                found[torch.arange(len(which)), which] = torch.inf
        for values, places in zip(by_values.argmin(1).tolist(), by_place.argsort(1)[:, :near].tolist(), strict=True):
            yield list(dict.fromkeys([values, *places]))

    def _towards(self, target: Row, row: Row, number: int) -> Tensor:
        """The relabelling of a network that lies closest to the target."""
        weights, names = self.layout.unflatten(row), [slot.name for slot in self.layout.slots]
        if self.scaled:
            weights = self._symmetry.rescale(balance(self._symmetry, weights), weights)
        element = self._matcher.element(self.layout.unflatten(target), weights, names, generator("quotient", number))
        return self.layout.flatten(self._symmetry.act(element, weights))

    @cached_property
    def _symmetry(self):
        return self.aligner.symmetry.on([slot.name for slot in self.layout.slots])

    @cached_property
    def _matcher(self) -> Aligner:
        """The zoo's own; of members that were left as they are, Git Re-Basin's: a relabelled copy is a copy still."""
        method = "rebasin" if self.aligner.method == "none" else self.aligner.method
        return replace(self.aligner, symmetry=self._symmetry, method=method)

    @cached_property
    def _units(self) -> Row:
        return torch.where(self.spread > 0, self.spread, torch.ones_like(self.spread))

    @cached_property
    def _signatures(self) -> Tensor:
        return self._sorted(self.members)

    def _sorted(self, rows: Tensor) -> Tensor:
        """Each tensor's values in order. No relabelling brings two networks closer than these are."""
        parts = rows.split([slot.size for slot in self.layout.slots], dim=1)
        return torch.cat([part.sort(1).values for part in parts], dim=1)
