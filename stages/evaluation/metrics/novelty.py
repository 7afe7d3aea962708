"""Novelty: how far networks are from the members that the flow learned from, and how much they err alike."""

import torch
from jaxtyping import Float
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from stages.columns import COUNT, FINE_RATIO, FINE_TAU, LENGTH, RATIO, TAU, WHOLE_PERCENT, Column
from stages.evaluation.metric import metric, per_network, reduced
from stages.evaluation.network_set import NetworkSet
from stages.evaluation.ranks import standardized_u

Distances = Float[Tensor, " networks"]
BINS = 20
"""Bins of equal width between the smallest and the largest of both samples, for the Jensen-Shannon distance."""


@per_network(of_outputs=True, column=Column(60, RATIO, brief=True), points="max_iou")
def max_iou(networks: NetworkSet) -> Tensor:
    """Max IoU: largest overlap (intersection over union) of a network's mistakes with those of one member, mean."""
    return networks.overlap.largest


@per_network(of_outputs=True)
def mean_iou(networks: NetworkSet) -> Tensor:
    """Mean IoU: overlap of a network's mistakes with the members', on average over them."""
    return networks.overlap.mean


@per_network(column=Column(100, LENGTH, "distribution", "quantiles"))
def distance(networks: NetworkSet) -> Tensor:
    """Distance as is: L2 to the nearest member, rows in canonical form; first tenth, median and last tenth."""
    return networks.nearest.as_is


@per_network(column=Column(110, LENGTH, "distribution", "quantiles"))
def distance_quotient(networks: NetworkSet) -> Tensor:
    """Aligned distance: the least L2 to a member that was found with the network relabelled to fit; likewise."""
    return networks.nearest.distance


@per_network(column=Column(120, LENGTH, "distribution", "quantiles"))
def distance_normalised(networks: NetworkSet) -> Tensor:
    """Normalized distance: to that same member, every tensor divided by its standard deviation; likewise."""
    return networks.nearest.normalised


@reduced(
    float, lambda distances: float(distances.median()), column=Column(70, TAU, brief=True), points="distance_in_tau"
)
def distance_in_tau(networks: NetworkSet) -> Tensor:
    """Distance: aligned, to the nearest member, median; 1 τ is the members' own to one another."""
    return networks.nearest.distance / networks.reference.tau


@metric(column=Column(130, FINE_TAU, "distribution"))
def wasserstein(networks: NetworkSet) -> float:
    """Wasserstein: distance of the set's aligned distances from the members' own, in τ; 0 where these agree."""
    own = networks.reference.distance.own.distance
    return wasserstein_distance(networks.nearest.distance, own) / networks.reference.tau


@metric(column=Column(140, FINE_RATIO, "distribution"))
def jensen_shannon(networks: NetworkSet) -> float:
    """Jensen-Shannon: distance of the same two as histograms of 20 bins; 0 where these agree, 1 without overlap."""
    return jensen_shannon_distance(networks.nearest.distance, networks.reference.distance.own.distance)


@metric(column=Column(145, RATIO, "distribution"))
def data_copying(networks: NetworkSet) -> float | None:
    """Z_U: in how many pairs with held-out members the set's network is the farther one from its nearest member,
    standardized; 0 where both are as far, below 0 where the set's are nearer.

    The statistic of a test for data-copying, over the whole space in one cell. Source: Meehan, Chaudhuri and Dasgupta,
    arXiv 2004.05675, section 3.
    """
    theirs = networks.reference.heldout_nearest
    if theirs is None or networks.role == "held-out":
        return None
    return standardized_u(theirs.distance, networks.nearest.distance)


@reduced(int, lambda members: len(members.unique()), column=Column(90, COUNT), points="nearest_member")
def nearest_members_hit(networks: NetworkSet) -> Tensor:
    """Nearest members: how many different members are the nearest one to some network of the set."""
    return networks.nearest.member


@per_network(of_outputs=True, points="nearest_member_score")
def nearest_member_score(networks: NetworkSet) -> Tensor:
    """Nearest member's score: of the member that a network is nearest to, on the same test examples, mean."""
    members = networks.reference.results
    assert members is not None
    return members.scores[networks.nearest.member]


@metric(of_outputs=True, column=Column(80, WHOLE_PERCENT, brief=True), scalar=lambda shares: shares.get("1.0"))
def novel_and_performant(networks: NetworkSet) -> dict[str, float]:
    """N&P@1: novel and performant, the share that reaches the bar and is farther than 1 τ from every member."""
    reference = networks.reference
    assert reference.bar is not None
    performant = networks.outcome.scores >= reference.bar
    return novel_and_performant_shares(performant, networks.nearest.distance, reference.tau, reference.margins)


def wasserstein_distance(distances: Distances, members: Float[Tensor, " members"]) -> float:
    """Wasserstein-1 distance between two samples of nearest-member distances, in their unit."""
    from scipy import stats  # slow to import, and a report reads this module's columns alone

    return float(stats.wasserstein_distance(distances.numpy(), members.numpy()))


def jensen_shannon_distance(distances: Distances, members: Float[Tensor, " members"], bins: int = BINS) -> float:
    """Jensen-Shannon distance (root of the divergence, in bits) between their histograms: 0 the same, 1 disjoint."""
    ends = float(torch.cat([distances, members]).min()), float(torch.cat([distances, members]).max())
    if ends[0] == ends[1]:
        return 0.0
    p, q = (torch.histc(v.double(), bins, *ends) for v in (distances, members))
    return float(jensenshannon(p.numpy(), q.numpy(), base=2))


def novel_and_performant_shares(
    performant: Tensor, distance: Distances, tau: float, margins: tuple[float, ...]
) -> dict[str, float]:
    """N&P@m for each margin m: the share that is performant and farther than m tau from every member."""
    return {str(m): float((performant & (distance > m * tau)).double().mean()) for m in margins}
