"""Weight space: rows of weights as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from stages.flow.spaces.base import Space
from stages.params.fit import Raw
from stages.store.weights import Weights


@dataclass(frozen=True)
class RawSpace(Space):
    """Points are rows."""

    def encode(self, packed: Weights, index: np.ndarray) -> Float[Tensor, "index dim"]:
        """The packed rows themselves."""
        return packed.pick(index)

    def decode(self, points: Float[Tensor, "n dim"], packed: Weights) -> Float[Tensor, "n parameters"]:
        """The points themselves."""
        del packed
        return points

    def state(self) -> None:
        """Nothing."""


def make(packed: Weights, params: Raw) -> RawSpace:
    """The same whatever the members."""
    del packed, params
    return RawSpace()


def load(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> RawSpace:
    """The same whatever was stored."""
    del tensors, facts
    return RawSpace()
