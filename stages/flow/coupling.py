"""Which source noise goes with which data: independent draws, or noise matched to data by linear assignment."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from stages.flow.spaces.codes import Codes
from stages.flow.spaces.tokens import Shape, Tokens, split

Points = Float[Tensor, "batch dim"]
Coupling = Literal["independent", "networks", "units"]


def coupled(how: Coupling, x0: Points, x1: Points, space: Codes | Tokens | None) -> Points:
    """The noise x0 in the order in which it goes with the data x1."""
    if how == "networks":
        return match_networks(x0, x1)
    if how == "units":
        assert isinstance(space, Tokens), "parameters are checked for this"
        return match_units(x0, x1, space.shapes)
    return x0


def match_networks(x0: Points, x1: Points) -> Points:
    """The noise x0 reordered over the batch so that it lies nearest to x1 (minibatch optimal transport, Tong et al.,
    arXiv 2302.00482).
    """
    return x0[_assigned(x1 @ x0.T)]


def match_units(x0: Points, x1: Points, shapes: tuple[Shape, ...]) -> Points:
    """The noise x0 with its units reordered so that, network by network and set by set, their own features lie nearest
    to x1's; pairs move with their units.

    The linear assignment of least squared distance (equivariant optimal transport, Klein et al., arXiv 2306.15030).
    Units of one set are drawn alike, so a reordered draw is as good a draw.
    """
    noise, data = split(x0, shapes), split(x1, shapes)
    orders = [_order(a, b) for a, b, shape in zip(noise, data, shapes, strict=True) if shape.ends is None]
    moved = [_take(part, orders[i], 1) for i, part in enumerate(noise[: len(orders)])]
    for part, shape in zip(noise[len(orders) :], shapes[len(orders) :], strict=True):
        assert shape.ends is not None, "units come before pairs"
        a, b = (orders[end] for end in shape.ends)
        pairs = part.unflatten(1, (a.shape[1], b.shape[1]))
        moved.append(_take(_take(pairs, a, 1), b, 2).flatten(1, 2))
    return torch.cat([part.flatten(1) for part in moved], 1)


def _order(noise: Float[Tensor, "batch units features"], data: Float[Tensor, "batch units features"]) -> Tensor:
    """For every network, which unit of noise goes where: [batch, units]."""
    batch, units, features = noise.shape
    if units == 1 or not features:
        return torch.arange(units, device=noise.device).expand(batch, units)
    return torch.stack([_assigned(scores) for scores in data @ noise.transpose(1, 2)])


def _assigned(scores: Float[Tensor, "n n"]) -> Int[Tensor, " n"]:
    """The column for every row; least squares is the largest inner product."""
    columns = linear_sum_assignment(scores.cpu().numpy(), maximize=True)[1]
    return torch.from_numpy(columns).to(scores.device)


def _take(values: Tensor, order: Int[Tensor, "batch units"], axis: int) -> Tensor:
    """Reorder one axis of every network's values."""
    index = order.reshape(order.shape[0], *(order.shape[1] if i == axis else 1 for i in range(1, values.ndim)))
    return values.gather(axis, index.expand_as(values))
