"""Many networks of one architecture at once: parameters stacked along a leading `networks` axis."""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from stages.store.layout import Layout


def forward(module: nn.Module, stacked: Mapping[str, Tensor], inputs: Tensor, *, shared: bool) -> Tensor:
    """Outputs [networks, batch, ...] of every network.

    `inputs` are [batch, ...] for all networks (`shared`) or [networks, batch, ...], each network's own.
    """

    def one(state: dict[str, Tensor], batch: Tensor) -> Tensor:
        return functional_call(module, state, (batch,))

    return vmap(one, in_dims=(0, None if shared else 0))(dict(stacked), inputs)


@torch.no_grad()
def outputs(module: nn.Module, layout: Layout, rows: Float[Tensor, "networks parameters"], inputs: Tensor,
            block: int = 2**27) -> Tensor:  # fmt: skip
    """Outputs [networks, examples, ...] of networks given as rows, in evaluation mode.

    Networks are taken a few at a time so that the widest activations stay within about `block` values.
    """
    module.eval()
    return torch.cat([forward(module, layout.unflatten(part), inputs, shared=True)
                      for part in _parts(rows, inputs, layout, block)])  # fmt: skip


def _parts(rows: Tensor, inputs: Tensor, layout: Layout, block: int) -> Iterator[Tensor]:
    widest = max((slot.shape[0] for slot in layout.slots if slot.shape), default=1)
    yield from rows.split(max(1, block // max(1, len(inputs) * widest)))
