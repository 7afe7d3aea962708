"""The positive-scale canonical form of ReLU units: incoming and outgoing weights of equal norm."""

import torch
from torch import Tensor

from stages.symmetry.table import Symmetry, Weights


def balance(symmetry: Symmetry, weights: Weights, tolerance: float = 1e-9, max_sweeps: int = 1000) -> dict[str, Tensor]:
    """Scales [size] per group that give every unit incoming and outgoing weights of equal L2 norm.

    A unit that is dead on either side keeps scale 1. Groups whose activation has no scale symmetry are left out.
    Sweeps go on until no log scale moves by more than `tolerance`: neighbouring layers share a tensor.
    """
    scales = {name: torch.ones(symmetry.groups[name].size, dtype=torch.float64) for name in symmetry.rescalable}
    current = {name: tensor.double() for name, tensor in weights.items()}
    for _ in range(max_sweeps):
        largest = 0.0
        for name in symmetry.rescalable:
            step = _step(symmetry, name, current)
            current = symmetry.rescale({name: step}, current)
            scales[name] = scales[name] * step
            largest = max(largest, float(step.log().abs().max()))
        if largest <= tolerance:
            break
    return scales


def _step(symmetry: Symmetry, name: str, weights: dict[str, Tensor]) -> Tensor:
    """sqrt(outgoing norm / incoming norm) for each unit of one group."""
    incoming, outgoing = (_squared(symmetry, name, weights, power) for power in (1, -1))
    step = (outgoing / incoming) ** 0.25
    return torch.where((incoming > 0) & (outgoing > 0), step, torch.ones_like(step))


def _squared(symmetry: Symmetry, name: str, weights: dict[str, Tensor], power: int) -> Tensor:
    size = symmetry.groups[name].size
    total = torch.zeros(size, dtype=torch.float64)
    for a in symmetry.groups[name].axes:
        if a.power == power:
            units = weights[a.tensor].square().movedim(a.axis, 0)[symmetry.places(name, a).flatten()]
            total = total + units.reshape(size, -1).sum(1)
    return total
