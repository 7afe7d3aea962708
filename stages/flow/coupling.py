"""Which source noise goes with which data: independent draws, or neurons of noise matched to neurons of data."""

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from stages.flow.tokens import split


def match_tokens(
    x0: Float[Tensor, "batch dim"], x1: Float[Tensor, "batch dim"], shapes: tuple[tuple[int, int], ...]
) -> Float[Tensor, "batch dim"]:
    """The noise x0 with the tokens of every set reordered so that, network by network, they lie nearest to x1's.

    The linear assignment of least squared distance (equivariant optimal transport, Klein et al., arXiv 2306.15030).
    Tokens of one set are drawn alike, so a reordered draw is as good a draw.
    """
    return torch.cat([_nearest(a, b).flatten(1) for a, b in zip(split(x0, shapes), split(x1, shapes), strict=True)], 1)


def _nearest(noise: Float[Tensor, "batch tokens features"], data: Float[Tensor, "batch tokens features"]) -> Tensor:
    if noise.shape[1] == 1:
        return noise
    scores = (data @ noise.transpose(1, 2)).cpu().numpy()  # least squares is the largest inner product
    order = torch.stack([torch.from_numpy(linear_sum_assignment(one, maximize=True)[1]) for one in scores])
    return noise.gather(1, order.to(noise.device).unsqueeze(-1).expand_as(noise))
