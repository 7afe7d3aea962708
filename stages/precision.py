"""Double precision throughout a network, whatever it casts to by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

WIDER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
}
"""Type of tensors -> the one that is used in its place."""


class DoublePrecision(TorchDispatchMode):
    """While it lasts, casts to narrower types and tensors made without a type are of double precision.

    For modules converted by `.double()`: RMSNorm, rotary embeddings and attention often compute in float32 by
    themselves, and states that start at zero are float32, which products with double weights refuse.
    """

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One operation, with its inputs, its `dtype` and its outputs widened."""
        del types
        wide = {name: WIDER.get(value, value) if name == "dtype" else value for name, value in (kwargs or {}).items()}
        args, wide = tree_map_only(Tensor, _widened, (tuple(args), wide))
        return tree_map_only(Tensor, _widened, func(*args, **wide))


def _widened(tensor: Tensor) -> Tensor:
    return tensor.to(WIDER[tensor.dtype]) if tensor.dtype in WIDER else tensor
