"""The linear probability path from source noise to data."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class PathSample(NamedTuple):
    """One training point per pair of noise and data: the point on the path, its time, and the target velocity."""

    x_t: Float[Tensor, "batch dim"]
    t: Float[Tensor, " batch"]
    velocity: Float[Tensor, "batch dim"]


def linear_path(
    x0: Float[Tensor, "batch dim"],
    x1: Float[Tensor, "batch dim"],
    t: Float[Tensor, " batch"],
    noise: Float[Tensor, "batch dim"] | None = None,
) -> PathSample:
    """x_t = (1 - t) x0 + t x1 (+ noise), with target x1 - x0 (DeepWeightFlow, section 3)."""
    x_t = torch.lerp(x0, x1, t.unsqueeze(1))
    return PathSample(x_t if noise is None else x_t + noise, t, x1 - x0)
