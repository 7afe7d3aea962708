"""Spread of a set of networks, relative to the members'."""

import torch
from jaxtyping import Float
from torch import Tensor

from stages.columns import FINE_RATIO, Column
from stages.evaluation.aligned_distance import distances
from stages.evaluation.metric import metric
from stages.evaluation.network_set import NetworkSet

SAME = 0.01
"""Networks closer than this to one another, in tau, are duplicates."""
DIRECTIONS = 200
"""Leading principal directions of which the spread is kept."""


@metric(column=Column(150, FINE_RATIO, "distribution"))
def dispersion(networks: NetworkSet) -> float:
    """Dispersion: root mean square of the whitened coordinates along the members' principal directions, over the
    members' own.
    """
    return relative_spread(networks.codes, networks.reference.codes)


@metric()
def dispersion_by_direction(networks: NetworkSet) -> list[float] | None:
    """Dispersion by direction: the same along each leading principal direction; not of baselines."""
    if networks.role == "baseline":
        return None
    return spread_by_direction(networks.codes, networks.reference.codes)[:DIRECTIONS].tolist()


@metric()
def duplicates(networks: NetworkSet) -> int:
    """Duplicates: how many networks lie within 0.01 τ of an earlier one of the set, as the rows are."""
    return count_duplicates(distances(networks.rows, networks.rows), SAME * networks.reference.tau)


def relative_spread(codes: Float[Tensor, "networks k"], members: Float[Tensor, "members k"]) -> float:
    """Root mean square of the codes around the members' mean, over the members' own."""
    centre = members.mean(0)
    return float(((codes - centre).square().mean() / (members - centre).square().mean()).sqrt())


def spread_by_direction(codes: Float[Tensor, "networks k"], members: Float[Tensor, "members k"]) -> Float[Tensor, " k"]:
    """The same along each principal direction."""
    centre = members.mean(0)
    return ((codes - centre).square().mean(0) / (members - centre).square().mean(0)).sqrt()


def count_duplicates(distances: Float[Tensor, "networks networks"], tolerance: float) -> int:
    """How many networks lie within `tolerance` of an earlier one."""
    earlier = torch.tril(torch.ones_like(distances, dtype=torch.bool), -1)
    return int(((distances <= tolerance) & earlier).any(1).sum())
