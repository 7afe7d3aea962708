"""How networks are relabelled towards a reference: over which table, by which method."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stages.symmetry.rebasin import match
from stages.symmetry.table import Symmetry, Weights
from stages.symmetry.transfusion import transfuse

Method = Literal["rebasin", "transfusion", "none"]
MATCHERS = {"rebasin": match, "transfusion": transfuse}


@dataclass(frozen=True)
class Aligner:
    """A method on a table. Without `streams`, units that residual additions carry through many layers stay."""

    symmetry: Symmetry
    method: Method
    streams: bool
    max_sweeps: int

    def over(self, parameters: Collection[str]) -> Symmetry:
        """What matching looks at: parameters, not what networks measured themselves."""
        groups = self.symmetry.groups
        return self.symmetry.only([n for n, g in groups.items() if self.streams or not g.stream]).on(parameters)

    def element(
        self, target: Weights, weights: Weights, parameters: Collection[str], draw: torch.Generator
    ) -> dict[str, Tensor]:
        """The relabelling that brings a network's parameters closest to the target's, of every group."""
        still = self.symmetry.identity()
        if self.method == "none":
            return still
        return still | MATCHERS[self.method](self.over(parameters), target, weights, draw, self.max_sweeps).permutations
