"""Rank statistics of two samples: in how many pairs the one exceeds the other, and how far that is from chance."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor


def exceedance(first: Float[Tensor, "groups n"], second: Float[Tensor, "groups m"]) -> Float[Tensor, " groups"]:
    """Share of pairs in which the value of `second` is the larger one, ties half.

    This is the area under the ROC curve of telling `second` by its large values.
    """
    m = second.shape[1]
    above = _ranks(first, second)[:, first.shape[1] :].sum(1) - m * (m + 1) / 2
    return above / (first.shape[1] * m)


def standardized_u(first: Float[Tensor, " n"], second: Float[Tensor, " m"]) -> float:
    """Mann and Whitney's U of the same pairs, less its mean, over its standard deviation if both were drawn alike.

    Below 0 where `second` has the smaller values; 0 where all values are equal. Ties lower the deviation.
    """
    n, m = len(first), len(second)
    total = n + m
    ties = torch.cat([first, second]).unique(return_counts=True)[1].double()
    variance = n * m / 12 * (total + 1 - float((ties**3 - ties).sum()) / (total * (total - 1)))
    u = n * m * (float(exceedance(first[None], second[None])) - 0.5)
    return u / sqrt(variance) if variance > 1e-9 else 0.0


def _ranks(first: Tensor, second: Tensor) -> Tensor:
    """Ranks among both, from 1 on; ties have their mean rank."""
    from scipy.stats import rankdata  # slow to import, and a report reads the metrics' columns alone

    return torch.from_numpy(rankdata(torch.cat([first, second], 1).cpu().double().numpy(), axis=1))
