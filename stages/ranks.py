"""Rank correlation."""

import torch
from jaxtyping import Float
from torch import Tensor


def spearman(
    predictions: Float[Tensor, "networks examples"], targets: Float[Tensor, " examples"]
) -> Float[Tensor, " networks"]:
    """Spearman's rank correlation of every network, ties by their mean rank; 0 where all predictions are equal."""
    a, b = ranks(predictions), ranks(targets[None])
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm()).clamp_min(1e-12)


def ranks(values: Float[Tensor, "networks examples"]) -> Float[Tensor, "networks examples"]:
    """Ranks from 1 along each row, in double precision, equal values sharing their mean rank."""
    found = [torch.unique(row, return_inverse=True, return_counts=True) for row in values]
    return torch.stack([((counts.cumsum(0) - (counts - 1) / 2).double())[where] for _, where, counts in found])
