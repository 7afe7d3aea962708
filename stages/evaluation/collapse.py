"""Whether a set of networks spreads as the members do."""

import torch
from jaxtyping import Float
from torch import Tensor


def dispersion(codes: Float[Tensor, "networks k"], members: Float[Tensor, "members k"]) -> float:
    """Root mean square of the codes around the members' mean, over the members' own: 1 is right, below 0.8 is collapse."""
    centre = members.mean(0)
    return float(((codes - centre).square().mean() / (members - centre).square().mean()).sqrt())


def dispersion_by_direction(
    codes: Float[Tensor, "networks k"], members: Float[Tensor, "members k"]
) -> Float[Tensor, " k"]:
    """The same along each principal direction."""
    centre = members.mean(0)
    return ((codes - centre).square().mean(0) / (members - centre).square().mean(0)).sqrt()


def duplicates(distances: Float[Tensor, "networks networks"], tolerance: float) -> int:
    """How many networks lie within `tolerance` of an earlier one."""
    earlier = torch.tril(torch.ones_like(distances, dtype=torch.bool), -1)
    return int(((distances <= tolerance) & earlier).any(1).sum())
