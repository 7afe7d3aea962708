"""Whether two sets of networks can be told apart: by a classifier, and by a kernel."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

First = Float[Tensor, "n features"]
Second = Float[Tensor, "m features"]
FOLDS, REPEATS = 5, 5
WIDTH = 2.2414
"""Standard errors either side of an AUC: 97.5 % of a normal distribution."""
RIDGE = 1.0
"""Penalty on the classifier's weights, in units of the mean squared length of a network's features."""
DIRECTIONS = 10
"""Leading principal components that outputs are reduced to, before they are told apart."""
PERMUTATIONS = 500
LARGEST = 500
"""Networks, at most, of each set."""


def separability(first: First, second: Second, seed: int = 0) -> dict[str, float] | None:
    """Classifier two-sample test: cross-validated AUC of telling `first` from `second`, with an interval.

    Ridge regression of the labels on standardized features and their squares (a changed spread is a difference, too);
    the mean AUC over 5 stratified folds, 5 times; Hanley and McNeil's interval, at 97.5 %: two such tests together are
    right in 95 % of cases. 0.5 is chance. None for fewer than two
    networks a side. Source: Lopez-Paz and Oquab, arXiv 1610.06545.
    """
    first, second = first[:LARGEST], second[:LARGEST]
    folds = min(FOLDS, len(first), len(second))
    if folds < 2:
        return None
    kernel, g = _products(torch.cat([first, second]).double()), torch.Generator().manual_seed(seed)
    labels = torch.arange(len(kernel)) < len(first)
    found = []
    for _ in range(REPEATS):
        part = torch.cat([torch.randperm(n, generator=g) % folds for n in (len(first), len(second))])
        found += [_held_out_auc(kernel, labels, part == fold) for fold in range(folds)]
    value = sum(found) / len(found)
    margin = WIDTH * auc_error(value, len(first), len(second))
    return {"auc": value, "low": max(0.0, value - margin), "high": min(1.0, value + margin)}


def _products(values: Tensor) -> Float[Tensor, "n n"]:
    """Inner products of standardized features and squares, their mean on the diagonal 1."""
    standard = _standard(values)
    both = torch.cat([standard, _standard(standard.square())], 1)
    kernel = both @ both.T
    return kernel / kernel.diagonal().mean().clamp_min(1e-12)


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0).clamp_min(1e-12)


def _held_out_auc(kernel: Tensor, labels: Tensor, held: Tensor) -> float:
    """AUC on the cases `held` out of a ridge regression that is fitted, in its dual form, to the others."""
    wanted = labels[~held].double()
    fitted = kernel[~held][:, ~held] + RIDGE * torch.eye(int((~held).sum()), dtype=torch.float64)
    scores = kernel[held][:, ~held] @ torch.linalg.solve(fitted, wanted - wanted.mean())
    return auc(scores[labels[held]], scores[~labels[held]])


def auc(positive: Float[Tensor, " n"], negative: Float[Tensor, " m"]) -> float:
    """The share of pairs that the scores put in order, ties counting half."""
    gaps = positive[:, None] - negative
    return float(((gaps > 0).double() + 0.5 * (gaps == 0).double()).mean())


def auc_error(auc: float, n: int, m: int) -> float:
    """Standard error of an AUC from n and m cases (Hanley and McNeil, Radiology 143, 1982)."""
    a, b = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return sqrt(max(0.0, auc * (1 - auc) + (n - 1) * (a - auc**2) + (m - 1) * (b - auc**2)) / (n * m))


def leading(first: First, second: Second, directions: int = DIRECTIONS) -> tuple[Tensor, Tensor]:
    """Both sets' coordinates along the leading principal components of the two together."""
    both = torch.cat([first, second]).double()
    u, s, _ = torch.linalg.svd(both - both.mean(0), full_matrices=False)
    return (u * s)[: len(first), :directions], (u * s)[len(first) :, :directions]


def mmd(first: First, second: Second, seed: int = 0, permutations: int = PERMUTATIONS) -> dict[str, float]:
    """Unbiased squared maximum mean discrepancy, and the share of relabellings of the two sets that reach it.

    The kernel is Gaussian, its width the median distance among all. Source: Gretton et al., JMLR 13, 2012.
    """
    first, second = first[:LARGEST], second[:LARGEST]
    kernel = gaussian_kernel(torch.cat([first, second]).double())
    g, n = torch.Generator().manual_seed(seed), len(first)
    value = _discrepancy(kernel, torch.arange(len(kernel)), n)
    shuffled = [_discrepancy(kernel, torch.randperm(len(kernel), generator=g), n) for _ in range(permutations)]
    reached = sum(other >= value - 1e-12 for other in shuffled)
    return {"value": value, "p": (1 + reached) / (1 + permutations)}


def gaussian_kernel(values: Float[Tensor, "n features"]) -> Float[Tensor, "n n"]:
    """exp(-d² / 2w²) with w the median of the distances d between different rows."""
    squares = torch.cdist(values, values).square()
    width = squares[~torch.eye(len(values), dtype=torch.bool)].median().clamp_min(1e-24)
    return torch.exp(-squares / (2 * width))


def _discrepancy(kernel: Tensor, order: Tensor, n: int) -> float:
    a, b = order[:n], order[n:]
    return float(_among(kernel[a][:, a]) + _among(kernel[b][:, b]) - 2 * kernel[a][:, b].mean())


def _among(kernel: Tensor) -> Tensor:
    """The mean over pairs of different rows."""
    return (kernel.sum() - kernel.trace()) / max(1, len(kernel) * (len(kernel) - 1))
