"""The training members' principal components, from what pack stored: a Gram matrix, or directions where these are smaller."""

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.members import is_train
from stages.flow.spaces.codes import Codes, codes_along, principal_codes
from stages.store.weights import Weights


def components(packed: Weights, count: int | None, whiten: bool) -> Codes:
    """The leading ones; all that carry variance if `count` is None."""
    if packed.has("pca/directions"):
        directions, variance = (torch.from_numpy(packed.facts(f"pca/{what}")) for what in ("directions", "variance"))
        return codes_along(directions, variance, count, whiten)
    fits = is_train(packed)
    return principal_codes(torch.from_numpy(packed.facts("pca/gram"))[fits][:, fits], count, whiten)


def encoded(packed: Weights, codes: Codes, index: np.ndarray) -> Tensor:
    """The codes [index, k] of packed networks; no weight is read where the Gram matrix says it all."""
    if codes.direct:
        return codes.encode(packed.pick(index) - torch.from_numpy(packed.facts("pca/mean")))
    return codes.encode(torch.from_numpy(packed.facts("pca/gram"))[index][:, is_train(packed)])
