"""The linear probability path from source noise to data, and the laws of the source noise."""

import math
from typing import Literal, NamedTuple

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


Law = Literal["gaussian", "uniform", "laplace"]


def noise(
    law: Law, *shape: int, generator: torch.Generator | None = None, device: torch.device | str = "cpu"
) -> Tensor:
    """Independent draws: bounded at ±√3 if uniform, heavier in the tails than a Gaussian if Laplace."""
    if law == "gaussian":
        return torch.randn(shape, generator=generator, device=device)
    if law == "uniform":
        return (2 * torch.rand(shape, generator=generator, device=device) - 1) * math.sqrt(3)
    up, down = (torch.empty(shape, device=device).exponential_(generator=generator) for _ in range(2))
    return (up - down) / math.sqrt(2)  # a difference of exponentials is Laplace
