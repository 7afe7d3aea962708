"""A look at a few samples while the flow is being fitted: are they good on validation data, are they new?"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from stages.artifacts.spaces import leave
from stages.context import Context
from stages.datasets import Validation, load_fitting
from stages.flow_training.data import PROBED, Points
from stages.members.scoring import appraised
from stages.params.batchnorm import BatchNorm
from stages.params.dataset import dataset_from
from stages.sampling.completion import Completion, completion

LOOK = ("step", "score", "score_std", "novelty", "novel_and_performant")
EXAMPLES = 1000
"""Validation examples, at most, that samples are scored on."""
BAR = 0.05
"""Quantile of the members' validation scores from which a sample counts as performant."""
VALUES = 2**27
"""Weights of members, at most, that samples are compared with."""


@dataclass(frozen=True)
class Watch:
    """Scores samples on validation data, never on test data, and compares them with training members.

    Their distance is that of their tensors' sorted values, which no relabelling changes and no alignment is needed for:
    it is never above evaluate's, and novelty 1 means as far from the nearest member as the median member is.
    """

    points: Points
    validation: Validation
    completion: Completion

    def look(self, points: Float[Tensor, "networks dim"]) -> list[float]:
        """Mean and standard deviation of the scores, median distance to a member, share novel and performant."""
        rows = leave(points.cpu(), self.points.space, self.points.packed)
        found, _ = appraised(self.completion.module, self.completion.rows(rows), self.validation, points.device)
        near = torch.cdist(self._signatures(rows), self._members).amin(1) / self._own
        good = (torch.from_numpy(found) >= self._bar) & (near >= 1)
        return [float(found.mean()), float(found.std()), float(near.median()), float(good.float().mean())]

    @cached_property
    def _members(self) -> Tensor:
        packed = self.points.packed
        few = max(2, min(PROBED, VALUES // packed.layout.parameters))
        return self._signatures(packed.pick(self.points.train[:few]))

    @cached_property
    def _own(self) -> float:
        distances = torch.cdist(self._members, self._members).fill_diagonal_(torch.inf)
        return float(distances.amin(1).median())

    @cached_property
    def _bar(self) -> float:
        found = self.points.packed.facts("validation_score")[self.points.train]
        return float(torch.quantile(torch.from_numpy(found).double(), BAR))

    def _signatures(self, rows: Tensor) -> Tensor:
        parts = rows.split([slot.size for slot in self.points.packed.layout.slots], dim=1)
        return torch.cat([part.sort(1).values for part in parts], dim=1)


def watch_of(points: Points, ctx: Context) -> Watch | None:
    """What samples are watched with; None where the zoo has no data."""
    dataset = points.packed.attrs["dataset"]
    if dataset is None:
        return None
    _, validation = load_fitting(dataset_from(dataset), ctx.data_root)
    few = Validation(validation.inputs[:EXAMPLES], validation.targets[:EXAMPLES])
    return Watch(points, few, completion(points.packed, BatchNorm(), ctx))
