"""How networks do together: in groups of several sizes, without ever holding the outputs of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Figures = dict[str, float]


@dataclass
class Ensembles:
    """Takes networks one by one and judges the mean vote of each group of `size` in a row, for every size.

    Votes are probabilities, or predicted numbers. A group that isn't full is not judged.
    """

    sizes: Sequence[int]
    judge: Callable[[Tensor], Figures]
    seen: int = 0
    totals: dict[int, Tensor] = field(default_factory=dict)
    found: dict[int, list[Figures]] = field(default_factory=dict)

    def add(self, votes: Tensor) -> None:
        """Votes [networks, examples, ...] of the next networks."""
        for vote in votes:
            self.seen += 1
            for size in self.sizes:
                total = self.totals.pop(size, torch.zeros(())) + vote
                if self.seen % size:
                    self.totals[size] = total
                else:
                    self.found.setdefault(size, []).append(self.judge(total / size))

    def curve(self) -> dict[str, list[float]]:
        """`sizes`, and each figure at that size: the mean over the groups."""
        names = next(iter(self.found.values()))[0] if self.found else {}
        mean = {name: [sum(f[name] for f in groups) / len(groups) for groups in self.found.values()] for name in names}
        return {"sizes": list(self.found), **mean}
