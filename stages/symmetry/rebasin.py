"""Git Re-Basin weight matching (Ainsworth et al., arXiv 2209.04836, algorithm 1) over a symmetry table."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from stages.symmetry.table import Permutations, Symmetry, Weights, permute

TOLERANCE = 1e-9
"""A group's assignment counts as better only beyond this share of the reference's squared norm."""


@dataclass(frozen=True)
class Match:
    """The permutations that align one network, its inner product with the reference before and after, and sweeps."""

    permutations: dict[str, Tensor]
    before: float
    after: float
    sweeps: int


def match(symmetry: Symmetry, reference: Weights, candidate: Weights, generator: torch.Generator,
          max_sweeps: int = 100) -> Match:  # fmt: skip
    """Permute the candidate's units so that its weights come closest to the reference's, in the L2 sense.

    Coordinate descent: each group in a random order is solved exactly with the others held, until a whole sweep
    improves nothing. Never ends worse than it started; ends in a local optimum that depends on the order.
    """
    table = symmetry.axes_of()
    fixed = {name: reference[name].double() for name in table}
    moving = {name: candidate[name].double() for name in table}
    found = symmetry.identity(candidate)
    groups = list(symmetry.groups)
    floor = TOLERANCE * sum(float(t.square().sum()) for t in fixed.values())
    before = inner_product(fixed, moving)
    sweeps = 0
    for _ in range(max_sweeps):
        sweeps += 1
        improved = False
        for i in torch.randperm(len(groups), generator=generator).tolist():
            gain, found[groups[i]] = _best(groups[i], symmetry, table, fixed, moving, found, floor)
            improved = improved or gain > floor
        if not improved:
            break
    aligned = {name: _moved(name, moving[name], table, found) for name in table}
    return Match(found, before, inner_product(fixed, aligned), sweeps)


def inner_product(a: Weights, b: Weights) -> float:
    """Sum of the inner products of equally named tensors."""
    return sum(float((a[name] * b[name]).sum()) for name in a)


def _best(group: str, symmetry: Symmetry, table: Mapping[str, Mapping[int, str]], fixed: Weights, moving: Weights,
          found: Permutations, floor: float) -> tuple[float, Tensor]:  # fmt: skip
    """How much the best assignment of one group gains over its present one, and that assignment."""
    scores = similarity(group, symmetry, table, fixed, moving, found).numpy()
    rows, columns = linear_sum_assignment(scores, maximize=True)
    present = found[group].numpy()
    gain = float(scores[rows, columns].sum() - scores[rows, present].sum())
    return gain, torch.from_numpy(columns) if gain > floor else found[group]


def similarity(group: str, symmetry: Symmetry, table: Mapping[str, Mapping[int, str]], fixed: Weights, moving: Weights,
               found: Permutations) -> Tensor:  # fmt: skip
    """Entry (i, j): inner product of the reference's unit i with the candidate's unit j over every axis of the group."""
    total: Tensor | float = 0.0
    for tensor, axis, _ in symmetry.groups[group]:
        others = {a: found[g] for a, g in table[tensor].items() if a != axis}
        theirs = permute(moving[tensor], others)
        total = total + _units(fixed[tensor], axis) @ _units(theirs, axis).T
    assert isinstance(total, Tensor)
    return total


def _units(tensor: Tensor, axis: int) -> Tensor:
    return tensor.movedim(axis, 0).flatten(1) if tensor.ndim > 1 else tensor.unsqueeze(1)


def _moved(name: str, tensor: Tensor, table: Mapping[str, Mapping[int, str]], found: Permutations) -> Tensor:
    return permute(tensor, {axis: found[g] for axis, g in table[name].items()})
