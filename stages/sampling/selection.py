"""The better ones of several networks, as training data tell: what anybody can do before a network is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.artifacts.members import dataset_of
from stages.context import Context
from stages.datasets import Train, load_fitting
from stages.errors import UsageError
from stages.members.scoring import scores_and_losses
from stages.store.weights import Weights

EXAMPLES = 10_000
"""Training examples, at most, that the loss is measured on."""


@dataclass(frozen=True)
class Choice:
    """Of networks drawn, the share `keep` with the lowest loss on `data`, training examples; all if there are none."""

    keep: float
    data: Train | None

    def candidates(self, start: int, stop: int) -> range:
        """The draws among which networks `start` to `stop` are chosen: their own, and as many for every network."""
        return range(ceil(start / self.keep), ceil(stop / self.keep))

    def best(
        self, module: nn.Module, rows: Float[Tensor, "drawn parameters"], count: int, device: torch.device
    ) -> Float[Tensor, "count parameters"]:
        """So many of these complete networks, in the order they came in."""
        if self.data is None or count == len(rows):
            return rows[:count]
        _, losses = scores_and_losses(module, rows, self.data, device)
        return rows[torch.from_numpy(losses).nan_to_num(torch.inf).argsort(stable=True)[:count].sort().values]


def choice_of(packed: Weights, keep: float, ctx: Context, condition: Mapping[str, str | float] | None = None) -> Choice:
    """The choice among networks drawn, under this condition, from these packed members' distribution.

    Raises UsageError if there are no data to choose by or `dataset_of` can't say which, DataMissing.
    """
    if keep == 1:
        return Choice(keep, None)
    if (dataset := dataset_of(packed, condition)) is None:
        raise UsageError(
            f"sample.keep_fraction {keep}: this zoo has no data to choose by; set it to 1, or give zoo.dataset"
        )
    train, _ = load_fitting(dataset, ctx.data_root)
    return Choice(keep, Train(train.inputs[:EXAMPLES], train.targets[:EXAMPLES]))
