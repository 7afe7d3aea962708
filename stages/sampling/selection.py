"""Selection of the networks with the lowest training loss among those drawn."""

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
class Selection:
    """Keeps the fraction of drawn networks with the lowest loss on `data`, training examples; all if there are none."""

    keep_fraction: float
    data: Train | None

    def candidates(self, start: int, stop: int) -> range:
        """The draws among which networks `start` to `stop` are selected: their own, as many for every network."""
        return range(ceil(start / self.keep_fraction), ceil(stop / self.keep_fraction))

    def select(
        self, module: nn.Module, rows: Float[Tensor, "drawn parameters"], count: int, device: torch.device
    ) -> Float[Tensor, "count parameters"]:
        """The `count` lowest-loss networks among complete ones, in the order they came in."""
        if self.data is None or count == len(rows):
            return rows[:count]
        _, losses = scores_and_losses(module, rows, self.data, device)
        return rows[torch.from_numpy(losses).nan_to_num(torch.inf).argsort(stable=True)[:count].sort().values]


def selection_of(
    packed: Weights, keep_fraction: float, ctx: Context, condition: Mapping[str, str | float] | None = None
) -> Selection:
    """The selection among networks drawn, under this condition, from these packed members' distribution.

    Raises UsageError if there are no data to select by or `dataset_of` can't tell which, DataMissing.
    """
    if keep_fraction == 1:
        return Selection(keep_fraction, None)
    if (dataset := dataset_of(packed, condition)) is None:
        raise UsageError(
            f"sample.keep_fraction {keep_fraction}: this zoo has no data to select by; set it to 1, or give zoo.dataset"
        )
    train, _ = load_fitting(dataset, ctx.data_root)
    return Selection(keep_fraction, Train(train.inputs[:EXAMPLES], train.targets[:EXAMPLES]))
