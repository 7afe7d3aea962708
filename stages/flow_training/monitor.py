"""Evaluation of a few samples during a fit: scores on validation data, and distances to training members."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from stages.artifacts.members import runs_of
from stages.canonical.sorted_values import sorted_values
from stages.context import Context
from stages.datasets import Validation, load_fitting
from stages.flow_training.data import PROBE_MEMBERS, FlowData
from stages.members.scoring import scores_and_losses
from stages.params.dataset import dataset_from
from stages.params.network import BatchNorm
from stages.sampling.completion import Completion, completion
from stages.symmetry.table import Symmetry

SAMPLE_COLUMNS = ("step", "score", "score_std", "novelty", "novel_and_performant")
EXAMPLES = 1000
"""Validation examples, at most, that samples are scored on."""
BAR_QUANTILE = 0.05
"""Quantile of the members' validation scores from which a sample counts as performant."""
MAX_VALUES = 2**27
"""Weights of members, at most, that samples are compared with."""

SAME = 1e-12
"""The least distance that counts as the members' own: copies of one another have none."""


@dataclass(frozen=True)
class Monitor:
    """Scores samples on validation data, never on test data, and compares them with training members.

    Their distance is that of their tensors' sorted values, which no relabelling changes and no alignment is needed for:
    it is never above evaluate's, and novelty 1 means as far from the nearest member as the median member is.
    """

    data: FlowData
    validation: Validation
    completion: Completion

    def evaluate(self, points: Float[Tensor, "networks dim"]) -> list[float]:
        """Mean and standard deviation of the scores, median distance to a member, share novel and performant."""
        rows = self.data.space.decode(points.cpu(), self.data.packed)
        module, complete = self.completion.module, self.completion.rows(rows)
        scores, _ = scores_and_losses(module, complete, self.validation, points.device)
        novelty = torch.cdist(self._sorted_values(rows), self._members).amin(1) / self._tau
        both = (torch.from_numpy(scores) >= self._bar) & (novelty >= 1)
        return [float(scores.mean()), float(scores.std()), float(novelty.median()), float(both.float().mean())]

    @cached_property
    def _members(self) -> Tensor:
        packed = self.data.packed
        count = max(2, min(PROBE_MEMBERS, MAX_VALUES // packed.layout.size))
        return self._sorted_values(packed.pick(self.data.train_index[:count]))

    @cached_property
    def _tau(self) -> float:
        """Median distance of a member to the nearest one of another training run."""
        runs, count = runs_of(self.data.packed), len(self._members)
        run = torch.arange(count) if runs is None else runs[torch.from_numpy(self.data.train_index[:count])]
        distances = torch.cdist(self._members, self._members).masked_fill_(run[:, None] == run, torch.inf)
        return max(float(distances.amin(1).median()), SAME)

    @cached_property
    def _bar(self) -> float:
        scores = self.data.packed.facts("validation_score")[self.data.train_index]
        return float(torch.quantile(torch.from_numpy(scores).double(), BAR_QUANTILE))

    def _sorted_values(self, rows: Tensor) -> Tensor:
        return sorted_values(self.data.packed.layout, self._symmetry, rows)

    @cached_property
    def _symmetry(self) -> Symmetry:
        return Symmetry.from_json(self.data.packed.attrs["symmetry"])


def monitor_of(data: FlowData, ctx: Context) -> Monitor | None:
    """The monitor of a fit; None where the zoo has no data."""
    dataset = data.packed.attrs["dataset"]
    if dataset is None:
        return None
    _, validation = load_fitting(dataset_from(dataset), ctx.data_root)
    examples = Validation(validation.inputs[:EXAMPLES], validation.targets[:EXAMPLES])
    return Monitor(data, examples, completion(data.packed, BatchNorm(), ctx))
