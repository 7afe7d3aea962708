"""Ensembles of several sizes, judged without ever holding the outputs of all networks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Ensembles:
    """Takes networks a few at a time and judges the mean prediction of every `size` networks in a row, for each size.

    Predictions are probabilities, or predicted numbers; `judge` gives quantities [groups] of mean predictions [groups,
    examples, ...]. A group that isn't full is not judged.
    """

    sizes: Sequence[int]
    judge: Callable[[Tensor], dict[str, Tensor]]
    seen: int = 0
    totals: dict[int, Tensor] = field(default_factory=dict)
    judged: dict[int, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, predictions: Tensor) -> None:
        """Predictions [networks, examples, ...] of the next networks."""
        for size in self.sizes:
            if full := list(self._full_groups(size, predictions)):
                quantities = {name: values.tolist() for name, values in self.judge(torch.stack(full)).items()}
                groups = [dict(zip(quantities, row, strict=True)) for row in zip(*quantities.values(), strict=True)]
                self.judged.setdefault(size, []).extend(groups)
        self.seen += len(predictions)

    def _full_groups(self, size: int, predictions: Tensor) -> Iterator[Tensor]:
        """Mean predictions of the groups that these networks complete."""
        for seen, prediction in enumerate(predictions, self.seen + 1):
            total = self.totals.pop(size, torch.zeros(())) + prediction
            if seen % size:
                self.totals[size] = total
            else:
                yield total / size

    def curve(self) -> dict[str, list[float]]:
        """`sizes`, and each quantity at that size: the mean over the groups."""
        names = next(iter(self.judged.values()))[0] if self.judged else {}
        means = {n: [sum(group[n] for group in groups) / len(groups) for groups in self.judged.values()] for n in names}
        return {"sizes": list(self.judged), **means}
