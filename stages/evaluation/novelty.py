"""How new networks are, against the members that the flow learned from."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from scipy import stats
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from stages.store.chunks import spans

Mistakes = Bool[Tensor, "networks examples"]
Rows = Float[Tensor, "networks parameters"]
Distances = Float[Tensor, " networks"]
Own = Int[Tensor, " networks"] | None
"""Where the networks are among the members, if they are: each is then compared with the others only."""
BLOCK = 256
"""Networks compared with all members at once."""
HISTOGRAM = 20
"""Bins of equal width between the smallest and the largest of both samples, for the Jensen–Shannon distance."""


class Overlap(NamedTuple):
    """The largest and the mean of each network's `ious`."""

    largest: Float[Tensor, " networks"]
    mean: Float[Tensor, " networks"]


def overlap(mistakes: Mistakes, members: Bool[Tensor, "members examples"], own: Own = None) -> Overlap:
    """How much each network's mistakes are some member's, and how much the members' on average."""
    found = [ious(mistakes[some], members, mine) for some, mine in _blocks(len(mistakes), own)]
    return Overlap(torch.cat([part.amax(1) for part in found]), torch.cat([part.mean(1) for part in found]))


def ious(
    mistakes: Mistakes, members: Bool[Tensor, "members examples"], own: Own = None
) -> Float[Tensor, "networks others"]:
    """Intersection over union of each network's wrong predictions with those of every member.

    Two networks without mistakes count as 1: they are the same function on this data. Source: arXiv 2506.07998.
    """
    a, b = mistakes.float(), members.float()
    common = a @ b.T
    union = a.sum(1, keepdim=True) + b.sum(1) - common
    iou = torch.where(union > 0, common / union.clamp_min(1), torch.ones_like(union)).double()
    if own is None:
        return iou
    others = torch.ones_like(iou, dtype=torch.bool).scatter_(1, own[:, None], False)
    return iou[others].reshape(len(iou), -1)


def distances(
    rows: Rows, members: Float[Tensor, "members parameters"], own: Own = None
) -> Float[Tensor, "networks members"]:
    """L2 distances; infinite to oneself."""
    targets = members.double()
    found = torch.cat([torch.cdist(rows[some].double(), targets) for some, _ in _blocks(len(rows))])
    return found if own is None else found.scatter_(1, own[:, None], torch.inf)


def nearest(
    rows: Rows, members: Float[Tensor, "members parameters"], own: Own = None
) -> tuple[Distances, Int[Tensor, " networks"]]:
    """L2 distance to the nearest member as the rows are, and which one it is."""
    targets = members.double()
    found = [distances(rows[some], targets, mine).min(1) for some, mine in _blocks(len(rows), own)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _blocks(count: int, own: Own = None) -> Iterator[tuple[slice, Own]]:
    """A few networks at a time: what is held of each is as long as there are members."""
    for start, stop in spans(max(count, 1), BLOCK):
        yield slice(start, stop), None if own is None else own[start:stop]


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


def novel_and_performant(
    accuracy: Float[Tensor, " networks"], distance: Distances, bar: float, tau: float, margins: tuple[float, ...]
) -> dict[str, float]:
    """N&P@m for each margin m: the share at or above the accuracy bar and farther than m tau from every member."""
    good = accuracy >= bar
    return {str(m): float((good & (distance > m * tau)).double().mean()) for m in margins}
