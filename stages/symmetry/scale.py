"""The positive-scale canonical form of ReLU units: incoming and outgoing weights of equal norm."""

import torch
from torch import Tensor

from stages.symmetry.table import Symmetry, Weights


def balance(symmetry: Symmetry, weights: Weights, tolerance: float = 1e-9, max_sweeps: int = 1000) -> dict[str, Tensor]:
    """Scales [size] per group that give every unit incoming and outgoing weights of equal L2 norm.

    A unit that is dead on either side keeps scale 1. Groups whose activation has no scale symmetry get ones.
    Sweeps go on until no log scale moves by more than `tolerance`: neighbouring layers share a tensor.
    """
    scales = {group: torch.ones(size, dtype=torch.float64) for group, size in symmetry.sizes(weights).items()}
    current = {name: tensor.double() for name, tensor in weights.items()}
    for _ in range(max_sweeps):
        largest = 0.0
        for group in symmetry.groups:
            step = _step(symmetry, group, current)
            current = symmetry.rescale({**{g: torch.ones_like(s) for g, s in scales.items()}, group: step}, current)
            scales[group] = scales[group] * step
            largest = max(largest, float(step.log().abs().max()))
        if largest <= tolerance:
            break
    return scales


def _step(symmetry: Symmetry, group: str, weights: dict[str, Tensor]) -> Tensor:
    """sqrt(outgoing norm / incoming norm) for each unit of one group."""
    incoming, outgoing = (_squared(symmetry, group, weights, power) for power in (1, -1))
    step = (outgoing / incoming) ** 0.25
    return torch.where((incoming > 0) & (outgoing > 0), step, torch.ones_like(step))


def _squared(symmetry: Symmetry, group: str, weights: dict[str, Tensor], power: int) -> Tensor:
    size = symmetry.sizes(weights)[group]
    total = torch.zeros(size, dtype=torch.float64)
    for tensor, axis, p in symmetry.groups[group]:
        if p == power:
            total = total + weights[tensor].square().movedim(axis, 0).reshape(size, -1).sum(1)
    return total
