"""Training data of the flow: packed members as points of its space, in memory or read as they are needed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from stages.errors import UsageError, did_you_mean
from stages.flow.conditions import Conditions, conditions_of
from stages.flow.spaces.base import Space, make_space
from stages.flow_training.compute import GIB
from stages.params.fit import CONDITIONS, FitParams
from stages.store.weights import Weights, is_train

PROBE_MEMBERS = 1000
"""Training members, at most, that spreads are measured on."""
HELDOUT_MEMBERS = 256
"""Held-out members, at most, that the held-out loss is measured on."""


@dataclass(frozen=True)
class FlowData:
    """The members that the flow is trained on, and those that are held out, as points.

    `cache` has all training members' points; where it is None, they didn't fit in memory and are read from the store.
    """

    packed: Weights
    space: Space
    conditions: Conditions
    train_index: Int[np.ndarray, " members"]
    heldout_index: Int[np.ndarray, " heldout"]
    cache: Float[Tensor, "members dim"] | None

    def __len__(self) -> int:
        return len(self.train_index)

    def points(self, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        """Points of training members."""
        return self.cache[index] if self.cache is not None else self._read(self.train_index[index.numpy()])

    def condition(self, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch conditions"]:
        """Encoded facts about training members."""
        return self._conditions[index]

    @cached_property
    def _conditions(self) -> Tensor:
        return self.conditions.encode(
            {name: self.packed.facts(name)[self.train_index] for name in self.conditions.names}
        )

    @cached_property
    def heldout(self) -> Float[Tensor, "heldout dim"]:
        """Points of held-out members."""
        return self._read(self.heldout_index[:HELDOUT_MEMBERS])

    @cached_property
    def probe(self) -> Float[Tensor, "probe dim"]:
        """Points of the first training members."""
        return self._read(self.train_index[:PROBE_MEMBERS]) if self.cache is None else self.cache[:PROBE_MEMBERS]

    @property
    def dim(self) -> int:
        """Coordinates of a point."""
        return self.heldout.shape[1]

    @property
    def spread(self) -> float:
        """Root mean square of the coordinates around their means."""
        return float((self.probe - self.probe.mean(0)).square().mean().sqrt())

    def dispersion(self, points: Float[Tensor, "n dim"]) -> float:
        """Root mean square distance of points from the training members' centre, over that of training members."""
        centre = self.space.centre(self.probe)
        spreads = [(x - centre).square().mean().sqrt() for x in (points, self.probe)]
        return float(spreads[0] / spreads[1])

    def _read(self, index: np.ndarray) -> Tensor:
        return self.space.encode(self.packed, index)


def flow_data(packed: Weights, params: FitParams) -> FlowData:
    """The members in the space that parameters ask for, in memory if that takes at most `params.max_memory_gib` GiB.

    Raises UsageError naming a fact in `params.condition` that isn't known of every member, or of any.
    """
    space, train = make_space(packed, params.space), is_train(packed).numpy()
    train_index, heldout_index = np.flatnonzero(train), np.flatnonzero(~train)
    fits = len(train_index) * packed.layout.size * 4 <= params.max_memory_gib * GIB
    cache = space.encode(packed, train_index) if fits or space.cached else None
    facts = {name: _known(packed, name)[train] for name in params.condition}
    return FlowData(packed, space, conditions_of(facts), train_index, heldout_index, cache)


def _known(packed: Weights, name: str) -> np.ndarray:
    """A fact that the flow may be conditioned on, about all members. Raises UsageError if there is no such fact."""
    names = (*CONDITIONS, *packed.attrs.get("facts", ()))
    if name not in names:
        near = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        raise UsageError(f"fit.condition: members have no fact {name!r}{near}")
    return packed.facts(name)
