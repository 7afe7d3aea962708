"""Packed members as points of the space that a flow lives on, held in memory or read as they are needed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.artifacts.members import is_train
from stages.artifacts.spaces import Space, located, space_of
from stages.flow.conditions import Conditions, conditions_of
from stages.flow.spaces.tokens import Tokens
from stages.flow_training.compute import GIB
from stages.params.fit import FitParams
from stages.store.weights import Weights

PROBED = 1000
"""Training members, at most, that spreads are measured on."""
HELDOUT = 256
"""Held-out members, at most, that the held-out loss is measured on."""


@dataclass(frozen=True)
class Points:
    """The members that the flow learns from, and those that it never sees, as points.

    `held` are all training members', None where they don't fit in memory: then `take` reads them from the store.
    """

    packed: Weights
    space: Space
    conditions: Conditions
    train: Int[np.ndarray, " members"]
    others: Int[np.ndarray, " heldout"]
    held: Float[Tensor, "members dim"] | None

    def __len__(self) -> int:
        return len(self.train)

    def take(self, index: Int[Tensor, " some"]) -> Float[Tensor, "some dim"]:
        """Training members' points."""
        return self.held[index] if self.held is not None else self._read(self.train[index.numpy()])

    def known(self, index: Int[Tensor, " some"]) -> Float[Tensor, "some conditions"]:
        """What the flow is told of training members."""
        return self._known[index]

    @cached_property
    def _known(self) -> Tensor:
        return self.conditions.encode({name: self.packed.facts(name)[self.train] for name in self.conditions.names})

    @cached_property
    def heldout(self) -> Float[Tensor, "heldout dim"]:
        """Held-out members' points."""
        return self._read(self.others[:HELDOUT])

    @cached_property
    def probe(self) -> Float[Tensor, "some dim"]:
        """A few training members' points."""
        return self._read(self.train[:PROBED]) if self.held is None else self.held[:PROBED]

    @property
    def dim(self) -> int:
        """Coordinates of a point."""
        return self.heldout.shape[1]

    @property
    def spread(self) -> float:
        """Root mean square of the coordinates around their means."""
        return float((self.probe - self.probe.mean(0)).square().mean().sqrt())

    @property
    def centre(self) -> Tensor:
        """What dispersion is measured around: the mean, but of tokens, which come in any order, that of all alike: zero."""
        mean = self.probe.mean(0)
        return torch.zeros_like(mean) if isinstance(self.space, Tokens) else mean

    def _read(self, numbers: np.ndarray) -> Tensor:
        return located(self.packed, self.space, numbers)


def points_of(packed: Weights, params: FitParams) -> Points:
    """The members in the space that the parameters name, held in memory if that takes at most `params.max_memory_gib` GiB."""
    space, fits = space_of(packed, params.space), is_train(packed).numpy()
    train, others = np.flatnonzero(fits), np.flatnonzero(~fits)
    small = len(train) * packed.layout.parameters * 4 <= params.max_memory_gib * GIB
    held = located(packed, space, train) if small or params.space.kind == "pca" else None
    facts = {name: packed.facts(name)[fits] for name in params.condition}
    return Points(packed, space, conditions_of(facts), train, others, held)
