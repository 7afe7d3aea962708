"""PCA codes of packed networks, from their stored Gram matrix, or principal directions where these are smaller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.flow.spaces.base import Space, State
from stages.flow.spaces.codes import Codes, codes_along, principal_codes
from stages.params.fit import Pca
from stages.store.weights import Weights, is_train


@dataclass(frozen=True)
class PcaSpace(Space):
    """Points are codes; decoded networks are mixtures of the training members."""

    codes: Codes
    cached = True

    def encode(self, packed: Weights, index: np.ndarray) -> Float[Tensor, "index k"]:
        """Codes of packed networks; no weight is read where the Gram matrix holds all inner products."""
        if self.codes.direct:
            return self.codes.encode(packed.pick(index) - torch.from_numpy(packed.facts("pca/mean")))
        return self.codes.encode(torch.from_numpy(packed.facts("pca/gram"))[index][:, is_train(packed)])

    def decode(self, points: Float[Tensor, "n k"], packed: Weights) -> Float[Tensor, "n parameters"]:
        """Rows, one block of columns of the training members after the other."""
        mean, train = torch.from_numpy(packed.facts("pca/mean")), is_train(packed)
        rows = torch.empty(len(points), len(mean))
        blocks = ((start, stop, block[train]) for start, stop, block in packed.columns())
        for start, stop, block in self.codes.decode(points, mean, blocks):
            rows[:, start:stop] = block
        return rows

    def state(self) -> State:
        """Basis and scale."""
        tensors = {"basis": self.codes.basis, "scale": self.codes.scale}
        return tensors, {"kind": "codes", "direct": self.codes.direct}


def components(packed: Weights, count: int | None, whiten: bool) -> Codes:
    """The leading principal components of the training members; all that carry variance if `count` is None."""
    if packed.has("pca/directions"):
        directions, variance = (torch.from_numpy(packed.facts(f"pca/{name}")) for name in ("directions", "variance"))
        return codes_along(directions, variance, count, whiten)
    train = is_train(packed)
    return principal_codes(torch.from_numpy(packed.facts("pca/gram"))[train][:, train], count, whiten)


def make(packed: Weights, params: Pca) -> PcaSpace:
    """The codes that parameters ask for."""
    return PcaSpace(components(packed, params.components, params.whiten))


def load(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> PcaSpace:
    """The inverse of `PcaSpace.state`."""
    return PcaSpace(Codes(tensors["basis"], tensors["scale"], facts["direct"]))
