"""Linear assignment: which of the candidate's units goes where."""

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def best_assignment(scores: Float[Tensor, "n n"]) -> Int[Tensor, " n"]:
    """For each place the unit to put there, so that the sum of `scores[place, unit]` is largest."""
    _, columns = linear_sum_assignment(scores.numpy(), maximize=True)
    return torch.from_numpy(columns)


def best_pairs(scores: Float[Tensor, "o p n n"]) -> tuple[Float[Tensor, "o p"], Int[Tensor, "o p n"]]:
    """The best assignment of inner units, and what it scores, for every pair of outer units."""
    o, p, n, _ = scores.shape
    found = torch.stack([best_assignment(pair) for pair in scores.flatten(0, 1)]).reshape(o, p, n)
    return scores.gather(-1, found.unsqueeze(-1)).sum((-1, -2)), found
