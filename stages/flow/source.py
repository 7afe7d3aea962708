"""The source noise at t = 0: distributions of mean 0 and standard deviation 1."""

import math
from typing import Literal

import torch
from torch import Tensor

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
