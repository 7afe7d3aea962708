"""What anybody can do without a generator: rows [networks, parameters] made from the members' rows."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "networks parameters"]
Members = Float[Tensor, "members parameters"]


def noise(members: Members, spread: Float[Tensor, " parameters"], level: float, count: int, g: torch.Generator) -> Rows:
    """Random members plus Gaussian noise of `level` times each tensor's own spread (given per parameter)."""
    chosen = members[_draw(len(members), count, g)]
    return chosen + level * spread * torch.randn(chosen.shape, generator=g)


def gaussian(
    codes: Float[Tensor, "members k"], decode: Callable[[Tensor], Rows], count: int, g: torch.Generator
) -> Rows:
    """The null arm: every code drawn on its own from a Gaussian with the members' mean and standard deviation."""
    return decode(codes.mean(0) + codes.std(0) * torch.randn(count, codes.shape[1], generator=g))


def interpolation(members: Members, share: float, count: int, g: torch.Generator) -> Rows:
    """Points between random pairs of aligned members, `share` of the way to the second."""
    pairs = torch.stack([_several(len(members), 2, g) for _ in range(count)])
    return torch.lerp(members[pairs[:, 0]], members[pairs[:, 1]], share)


def soup(members: Members, size: int, count: int, g: torch.Generator) -> Rows:
    """Means of `size` different aligned members."""
    return torch.stack([members[_several(len(members), size, g)].mean(0) for _ in range(count)])


def retrieval(rows: Rows, members: Members) -> Rows:
    """For every generated network the member nearest to it: the most honest copy."""
    return members[torch.cdist(rows, members).argmin(1)]


def _draw(among: int, count: int, g: torch.Generator) -> Tensor:
    return torch.randint(among, (count,), generator=g)


def _several(among: int, size: int, g: torch.Generator) -> Tensor:
    return torch.randperm(among, generator=g)[:size]
