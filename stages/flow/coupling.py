"""Couplings of source noise and data: independent draws, or noise matched to data by linear assignment."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from stages.flow.spaces.base import Space

Points = Float[Tensor, "batch dim"]
Coupling = Literal["independent", "networks", "units"]


def couple(coupling: Coupling, x0: Points, x1: Points, space: Space) -> Points:
    """The noise x0 in the order in which it is paired with the data x1."""
    if coupling == "networks":
        return match_networks(x0, x1)
    return space.match_units(x0, x1) if coupling == "units" else x0


def match_networks(x0: Points, x1: Points) -> Points:
    """The noise x0 reordered over the batch so that it lies nearest to x1 (minibatch optimal transport, Tong et al.,
    arXiv 2302.00482).
    """
    return x0[assignment(x1 @ x0.T)]


def assignment(products: Float[Tensor, "n n"]) -> Int[Tensor, " n"]:
    """The column for every row whose inner products sum to the most, which is the least total squared distance."""
    columns = linear_sum_assignment(products.cpu().numpy(), maximize=True)[1]
    return torch.from_numpy(columns).to(products.device)
