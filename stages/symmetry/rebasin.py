"""Git Re-Basin weight matching (Ainsworth et al., arXiv 2209.04836, algorithm 1) over a symmetry table."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from stages.symmetry.element import Element
from stages.symmetry.table import Axis, Permutations, Symmetry, Weights

TOLERANCE = 1e-9
"""A move counts as better only beyond this share of the reference's squared norm."""


@dataclass(frozen=True)
class Match:
    """The element that aligns one network, its inner product with the reference before and after, and sweeps."""

    element: Element
    before: float
    after: float
    sweeps: int

    @property
    def permutations(self) -> Permutations:
        """The element's."""
        return self.element.permutations


def match(
    symmetry: Symmetry,
    reference: Weights,
    candidate: Weights,
    generator: torch.Generator,
    max_sweeps: int = 100,
    start: Permutations | None = None,
    keep: frozenset[str] = frozenset(),
) -> Match:
    """Permute the candidate's units so that its weights come closest to the reference's, in the L2 sense.

    Units that may change their signs are compared up to them, and get the better one.
    Coordinate descent: each outer group in a random order, and what is within it, is solved with the others held,
    until a whole sweep improves nothing. Never ends worse than it started; ends in a local optimum that depends on
    the order. Groups within another are assigned together with it: every pairing of outer units is scored at its best
    inner assignment. `start` is where the descent begins; outer units of the groups in `keep` stay as it has them.
    """
    fixed, original = ({name: w[name].double() for name in symmetry.tensors} for w in (reference, candidate))
    begin = Element(start or symmetry.identity())
    search = _Search(symmetry, fixed, begin.act(symmetry, original), begin)
    floor = TOLERANCE * sum(float(t.square().sum()) for t in fixed.values())
    outer = list(symmetry.children)
    sweeps, improved = 0, True
    while improved and sweeps < max_sweeps:
        sweeps += 1
        order = [outer[i] for i in torch.randperm(len(outer), generator=generator).tolist()]
        improved = sum(search.improve(group, floor, group in keep) for group in order) > 0
    before, after = inner_product(fixed, original), inner_product(fixed, search.moved)
    return Match(search.element, before, after, sweeps)


def inner_product(a: Weights, b: Weights) -> float:
    """Sum of the inner products of equally named tensors."""
    return sum(float((a[name] * b[name]).sum()) for name in a)


@dataclass
class _Search:
    """The state of the descent: the reference, the candidate as moved so far, and by which element."""

    symmetry: Symmetry
    fixed: dict[str, Tensor]
    moved: dict[str, Tensor]
    element: Element

    def improve(self, group: str, floor: float, keep: bool) -> bool:
        """Make the best move of one outer group, and of those within it, if it gains more than `floor`."""
        move = self._within(group) if keep else self._best(group)
        still = self.symmetry.is_identity(move.permutations)
        if still and all(bool((signs > 0).all()) for signs in move.signs.values()):
            return False
        tensors = {a.tensor for name in move.permutations for a in self.symmetry.groups[name].axes}
        before, fixed = ({name: weights[name] for name in tensors} for weights in (self.moved, self.fixed))
        after = move.act(self.symmetry, before)
        if inner_product(fixed, after) - inner_product(fixed, before) <= floor:
            return False
        self.moved.update(after)
        whole = Element(self.symmetry.identity() | dict(move.permutations), move.signs)
        self.element = self.element.then(self.symmetry, whole)
        return True

    def _best(self, group: str) -> Element:
        """The move of an outer group that scores best, with what is within it at its best in each pairing."""
        children = self.symmetry.children[group]
        scores, signs = self._up_to_signs(group, self._exclusive_axes(group))
        inner = {}
        for child in children:
            pairs, inner[child] = best_pairs(self._pair_similarity(child))
            scores = scores + pairs
        outer = best_assignment(scores)
        places = torch.arange(len(outer))
        moves = {group: outer} | {child: assigned[places, outer] for child, assigned in inner.items()}
        chosen = signs[places, outer][outer.argsort()]
        return Element(moves, {group: chosen} if group in self.symmetry.flippable else {})

    def _within(self, group: str) -> Element:
        """The best move of what is within a group whose own units stay."""
        moves = {}
        for child in self.symmetry.children[group]:
            scores = self._pair_similarity(child)
            moves[child] = torch.stack([best_assignment(scores[i, i]) for i in range(len(scores))])
        return Element(moves)

    def _exclusive_axes(self, group: str) -> list[Axis]:
        """The places of a group that no group within it moves as well."""
        inner = [a for child in self.symmetry.children[group] for a in self.symmetry.groups[child].axes]

        def holds(outer: Axis, a: Axis) -> bool:
            same = (a.tensor, a.axis) == (outer.tensor, outer.axis)
            return same and outer.start <= a.start < outer.start + outer.width

        return [a for a in self.symmetry.groups[group].axes if not any(holds(a, b) for b in inner)]

    def _up_to_signs(self, group: str, axes: list[Axis]) -> tuple[Tensor, Tensor]:
        """Each pair's similarity with the better sign of the candidate's unit, and which sign that is."""
        scores = self._similarity(group, [a for a in axes if not a.flips])
        if group not in self.symmetry.flippable:
            return scores, torch.ones_like(scores, dtype=torch.int8)
        flipping = self._similarity(group, [a for a in axes if a.flips])
        return scores + flipping.abs(), torch.where(flipping < 0, -1, 1).to(torch.int8)

    def _similarity(self, group: str, axes: list[Axis]) -> Tensor:
        """Entry (i, j): inner product of the reference's unit i with the candidate's unit j over these places."""
        size = self.symmetry.groups[group].size
        total = torch.zeros(size, size, dtype=torch.float64)
        for a in axes:
            total += self._units(group, a, self.fixed) @ self._units(group, a, self.moved).T
        return total

    def _pair_similarity(self, child: str) -> Tensor:
        """Entry (o, p, i, j): the reference's unit i in outer unit o with the candidate's unit j in outer unit p."""
        outer, size = self.symmetry.shape(child)
        total = torch.zeros(outer * size, outer * size, dtype=torch.float64)
        for a in self.symmetry.groups[child].axes:
            total += self._units(child, a, self.fixed) @ self._units(child, a, self.moved).T
        return total.reshape(outer, size, outer, size).transpose(1, 2)

    def _units(self, group: str, a: Axis, weights: Mapping[str, Tensor]) -> Tensor:
        """A tensor's values unit by unit: [units, values]."""
        tensor, whole = weights[a.tensor].movedim(a.axis, 0), self.symmetry.groups[group]
        if whole.within is None and (a.start, a.width * whole.size) == (0, len(tensor)):
            return tensor.reshape(whole.size, -1)  # every place, in order: nothing to gather
        places = self.symmetry.places(group, a).flatten(0, -2)
        return tensor[places.flatten()].reshape(len(places), -1)


def best_assignment(scores: Float[Tensor, "n n"]) -> Int[Tensor, " n"]:
    """For each place the unit to put there, so that the sum of `scores[place, unit]` is largest."""
    _, columns = linear_sum_assignment(scores.numpy(), maximize=True)
    return torch.from_numpy(columns)


def best_pairs(scores: Float[Tensor, "o p n n"]) -> tuple[Float[Tensor, "o p"], Int[Tensor, "o p n"]]:
    """The best assignment of inner units, and what it scores, for every pair of outer units."""
    o, p, n, _ = scores.shape
    assigned = torch.stack([best_assignment(pair) for pair in scores.flatten(0, 1)]).reshape(o, p, n)
    return scores.gather(-1, assigned.unsqueeze(-1)).sum((-1, -2)), assigned
