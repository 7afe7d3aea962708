"""How new networks are, against the members that the flow learned from."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Mistakes = Bool[Tensor, "networks examples"]


def max_iou(
    mistakes: Mistakes, members: Bool[Tensor, "members examples"], themselves: bool
) -> Float[Tensor, " networks"]:
    """Largest intersection over union of a network's wrong predictions with those of any member.

    `themselves`: the networks are the members, and each is compared with the others only.
    Two networks without mistakes count as 1: they are the same function on this data. Source: arXiv 2506.07998.
    """
    a, b = mistakes.float(), members.float()
    common = a @ b.T
    union = a.sum(1, keepdim=True) + b.sum(1) - common
    iou = torch.where(union > 0, common / union.clamp_min(1), torch.ones_like(union))
    if themselves:
        iou.fill_diagonal_(-1)
    return iou.amax(1).double()


def nearest(rows: Float[Tensor, "networks parameters"], members: Float[Tensor, "members parameters"],
            themselves: bool) -> tuple[Float[Tensor, " networks"], Int[Tensor, " networks"]]:  # fmt: skip
    """L2 distance to the nearest member, and which one it is.

    `themselves`: the networks are the members, and each is compared with the others only.
    """
    found = []
    for start in range(0, len(rows), 256):
        block = torch.cdist(rows[start : start + 256].double(), members.double())
        if themselves:
            block[torch.arange(len(block)), torch.arange(start, start + len(block))] = torch.inf
        found.append(block.min(1))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def novel_and_performant(accuracy: Float[Tensor, " networks"], distance: Float[Tensor, " networks"], bar: float,
                         tau: float, margins: tuple[float, ...]) -> dict[str, float]:  # fmt: skip
    """N&P@m for each margin m: the share at or above the accuracy bar and farther than m tau from every member."""
    good = accuracy >= bar
    return {str(m): float((good & (distance > m * tau)).double().mean()) for m in margins}
