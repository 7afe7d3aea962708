"""How new networks are, against the members that the flow learned from."""

import torch
from jaxtyping import Bool, Float, Int
from scipy import stats
from scipy.spatial.distance import jensenshannon
from torch import Tensor

Mistakes = Bool[Tensor, "networks examples"]
Rows = Float[Tensor, "networks parameters"]
Distances = Float[Tensor, " networks"]
HISTOGRAM = 20
"""Bins of equal width between the smallest and the largest of both samples, for the Jensen–Shannon distance."""


def ious(
    mistakes: Mistakes, members: Bool[Tensor, "members examples"], themselves: bool
) -> Float[Tensor, "networks others"]:
    """Intersection over union of each network's wrong predictions with those of every member.

    `themselves`: the networks are the members, and each is compared with the others only.
    Two networks without mistakes count as 1: they are the same function on this data. Source: arXiv 2506.07998.
    """
    a, b = mistakes.float(), members.float()
    common = a @ b.T
    union = a.sum(1, keepdim=True) + b.sum(1) - common
    iou = torch.where(union > 0, common / union.clamp_min(1), torch.ones_like(union)).double()
    if not themselves:
        return iou
    return iou[~torch.eye(len(iou), dtype=torch.bool)].reshape(len(iou), -1)


def distances(rows: Rows, members: Float[Tensor, "members parameters"],
              themselves: bool = False) -> Float[Tensor, "networks members"]:  # fmt: skip
    """L2 distances; of the members among themselves each one's own is infinite."""
    found = torch.cat([torch.cdist(block.double(), members.double()) for block in rows.split(256)])
    return found.fill_diagonal_(torch.inf) if themselves else found


def nearest(rows: Rows, members: Float[Tensor, "members parameters"],
            themselves: bool) -> tuple[Distances, Int[Tensor, " networks"]]:  # fmt: skip
    """L2 distance to the nearest member as the rows are, and which one it is."""
    found = distances(rows, members, themselves).min(1)
    return found.values, found.indices


def wasserstein(distances: Distances, members: Float[Tensor, " members"]) -> float:
    """Wasserstein-1 distance between two samples of nearest-member distances, in their unit."""
    return float(stats.wasserstein_distance(distances.numpy(), members.numpy()))


def jensen_shannon(distances: Distances, members: Float[Tensor, " members"], bins: int = HISTOGRAM) -> float:
    """Jensen–Shannon distance (root of the divergence, in bits) between their histograms: 0 the same, 1 disjoint."""
    ends = float(torch.cat([distances, members]).min()), float(torch.cat([distances, members]).max())
    if ends[0] == ends[1]:
        return 0.0
    p, q = (torch.histc(v.double(), bins, *ends) for v in (distances, members))
    return float(jensenshannon(p.numpy(), q.numpy(), base=2))


def novel_and_performant(accuracy: Float[Tensor, " networks"], distance: Distances, bar: float,
                         tau: float, margins: tuple[float, ...]) -> dict[str, float]:  # fmt: skip
    """N&P@m for each margin m: the share at or above the accuracy bar and farther than m tau from every member."""
    good = accuracy >= bar
    return {str(m): float((good & (distance > m * tau)).double().mean()) for m in margins}
