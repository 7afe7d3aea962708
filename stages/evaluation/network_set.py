"""A set of networks under evaluation, and the members that it is measured against."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stages.errors import UsageError
from stages.evaluation.aligned_distance import AlignedDistance, Nearest, Own, Runs, blocks, same_run
from stages.evaluation.results import Results

Role = Literal["members", "held-out", "generated", "baseline"]


@dataclass(frozen=True)
class MemberReference:
    """All members that the flow learned from, and their results on the test data: what every set is measured with.

    Without data `results` and `bar` are None. `heldout` are the rows and results of the networks that those of an ideal
    generator can't be distinguished from. An example counts as a mistake where a network's error exceeds `tolerance`.
    """

    distance: AlignedDistance
    encode: Callable[[Tensor], Tensor]
    margins: tuple[float, ...]
    results: Results | None = None
    bar: float | None = None
    heldout: tuple[Tensor, Results | None] | None = None

    @property
    def members(self) -> Float[Tensor, "members parameters"]:
        """The members' rows."""
        return self.distance.members

    @cached_property
    def tau(self) -> float:
        """The (measured) members' own median distance to the nearest one of another run.

        Raises UsageError where at least half of them are copies of others, so that there is no such unit.
        """
        if not (tau := float(self.distance.own.distance.median())):
            raise UsageError(
                "evaluate: at least half of the members are copies of one another, so novelty has no unit; leave "
                "copies out of the zoo, or name the fact that tells training runs apart as zoo.group"
            )
        return tau

    @cached_property
    def codes(self) -> Tensor:
        """The members' principal coordinates."""
        return self.encode(self.members)

    @cached_property
    def tolerance(self) -> float:
        """The largest error that isn't a mistake.

        0 for classes; in a regression the members' median absolute error, so that a typical member is wrong on half of
        the examples.
        """
        errors = self.results.errors if self.results else torch.zeros(1)
        return float(errors.median()) if errors.is_floating_point() else 0.0

    @cached_property
    def heldout_nearest(self) -> Nearest | None:
        """The held-out members' distances to members; None where there are no held-out members."""
        return self.distance.nearest(self.heldout[0]) if self.heldout and len(self.heldout[0]) else None

    def mistakes(self, results: Results) -> Bool[Tensor, "networks examples"]:
        """The examples that networks are wrong on."""
        return results.errors > self.tolerance


class Overlap(NamedTuple):
    """The largest and the mean IoU of each network's mistakes with the members'."""

    largest: Float[Tensor, " networks"]
    mean: Float[Tensor, " networks"]


@dataclass(frozen=True)
class NetworkSet:
    """One set of networks: their rows, and their results on the test data (None: there is none).

    `copied_statistics` are the results with the reference member's BatchNorm statistics, None where there are none.
    `known_nearest` are the distances to members, if they were measured before.
    """

    role: Role
    family: str | None
    rows: Float[Tensor, "networks parameters"]
    results: Results | None
    reference: MemberReference
    copied_statistics: Results | None = None
    known_nearest: Nearest | None = None

    @property
    def own(self) -> Own:
        """The members' runs, if these are members: each is compared with those of other runs only (leave one out)."""
        distance = self.reference.distance
        return distance.run_of[distance.which] if self.role == "members" else None

    @property
    def outcome(self) -> Results:
        """The results, for metrics of outputs, which are left out without data."""
        assert self.results is not None
        return self.results

    @cached_property
    def overlap(self) -> Overlap:
        """IoU of every network's mistakes with the members'."""
        members = self.reference.results
        assert members is not None
        mistakes, runs = self.reference.mistakes, self.reference.distance.run_of
        return mistake_overlap(mistakes(self.outcome), mistakes(members), self.own, runs)

    @cached_property
    def nearest(self) -> Nearest:
        """Distance to the nearest member, the network relabelled to fit, and which member it is."""
        distance = self.reference.distance
        return self.known_nearest or (distance.nearest(self.rows) if self.own is None else distance.own)

    @cached_property
    def codes(self) -> Tensor:
        """Principal coordinates."""
        return self.reference.encode(self.rows)


def mistake_overlap(
    mistakes: Bool[Tensor, "networks examples"],
    members: Bool[Tensor, "members examples"],
    own: Own = None,
    runs: Runs | None = None,
) -> Overlap:
    """The overlap of each network's mistakes with the most similar member's, and with the members' on average."""
    largest, mean = [], []
    for block, mine in blocks(len(mistakes), own):
        iou = ious(mistakes[block], members)
        left_out = torch.zeros_like(iou, dtype=torch.bool) if mine is None else same_run(mine, runs, len(members))
        largest.append(iou.masked_fill(left_out, 0).amax(1))
        mean.append(iou.masked_fill(left_out, 0).sum(1) / (~left_out).sum(1))
    return Overlap(torch.cat(largest), torch.cat(mean))


def ious(
    mistakes: Bool[Tensor, "networks examples"], members: Bool[Tensor, "members examples"]
) -> Float[Tensor, "networks members"]:
    """Intersection over union of each network's wrong predictions with those of every member.

    Two networks without mistakes count as 1: they are the same function on this data. Source: arXiv 2506.07998.
    """
    a, b = mistakes.float(), members.float()
    common = a @ b.T
    union = a.sum(1, keepdim=True) + b.sum(1) - common
    return torch.where(union > 0, common / union.clamp_min(1), torch.ones_like(union)).double()
