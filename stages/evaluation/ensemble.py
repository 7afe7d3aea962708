"""How networks do together: in groups of several sizes, without ever holding the outputs of all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Ensembles:
    """Takes networks a few at a time and judges the mean vote of each group of `size` in a row, for every size.

    Votes are probabilities, or predicted numbers; `judge` gives figures [groups] of mean votes [groups, examples, ...].
    A group that isn't full is not judged.
    """

    sizes: Sequence[int]
    judge: Callable[[Tensor], dict[str, Tensor]]
    seen: int = 0
    totals: dict[int, Tensor] = field(default_factory=dict)
    found: dict[int, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, votes: Tensor) -> None:
        """Votes [networks, examples, ...] of the next networks."""
        for size in self.sizes:
            if full := list(self._full(size, votes)):
                figures = {name: values.tolist() for name, values in self.judge(torch.stack(full)).items()}
                groups = [dict(zip(figures, values, strict=True)) for values in zip(*figures.values(), strict=True)]
                self.found.setdefault(size, []).extend(groups)
        self.seen += len(votes)

    def _full(self, size: int, votes: Tensor) -> Iterator[Tensor]:
        """Mean votes of the groups that these networks complete."""
        for seen, vote in enumerate(votes, self.seen + 1):
            total = self.totals.pop(size, torch.zeros(())) + vote
            if seen % size:
                self.totals[size] = total
            else:
                yield total / size

    def curve(self) -> dict[str, list[float]]:
        """`sizes`, and each figure at that size: the mean over the groups."""
        names = next(iter(self.found.values()))[0] if self.found else {}
        mean = {name: [sum(f[name] for f in groups) / len(groups) for groups in self.found.values()] for name in names}
        return {"sizes": list(self.found), **mean}
