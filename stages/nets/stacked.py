"""Batched evaluation of many networks of one architecture, stacked along a leading `networks` axis."""

import copy
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from stages.store.layout import Layout

LAYERS = (nn.Linear, nn.Conv2d, nn.Flatten, nn.Unflatten, nn.Identity, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid)
"""Layers that vmap turns into batched products, without randomness or state."""
MAX_STACKED = 300_000
"""Parameters from which on a single network fills the processor, and stacking only costs memory."""
MAX_STACKED_CONVOLUTIONAL = 10_000
"""The same for chains with convolutions, whose weights are used at every position."""
EXAMPLES = 256
"""Batch size in the evaluation of a network that isn't stacked."""
BLOCK = {"cpu": 2**21, "cuda": 2**27}
"""Values of the widest activations computed at once: on a CPU few enough for its cache, and for freed memory to be used
again."""
NOTHING: Mapping[str, Tensor] = MappingProxyType({})


def stackable(module: nn.Module) -> bool:
    """Whether networks of this architecture run faster together: small chains of Linear and Conv2d layers do.

    vmap makes grouped convolutions. On a CPU those of strides and few channels are several times as fast as one network
    after the other, and faster than products of unfolded images; large ones are up to twice as slow.
    """
    if not (isinstance(module, nn.Sequential) and all(isinstance(layer, LAYERS) for layer in module)):
        return False
    convolutional = any(isinstance(layer, nn.Conv2d) for layer in module)
    return sum(p.numel() for p in module.parameters()) < (MAX_STACKED_CONVOLUTIONAL if convolutional else MAX_STACKED)


def forward(module: nn.Module, stacked: Mapping[str, Tensor], inputs: Tensor, *, shared: bool) -> Tensor:
    """Outputs [networks, batch, ...] of every network; a single one is called without vmap, so it may have any layers.

    `inputs` are [batch, ...] for all networks (`shared`) or [networks, batch, ...], one batch for each. In training
    mode a single network's stacked buffers are updated in place.
    """
    if len(next(iter(stacked.values()))) == 1:
        state = {name: tensor.squeeze(0) for name, tensor in stacked.items()}
        return functional_call(module, state, (inputs if shared else inputs.squeeze(0),)).unsqueeze(0)

    def single(state: dict[str, Tensor], batch: Tensor) -> Tensor:
        return functional_call(module, state, (batch,))

    return vmap(single, in_dims=(0, None if shared else 0))(dict(stacked), inputs)


@torch.no_grad()
def outputs(
    module: nn.Module,
    layout: Layout,
    rows: Float[Tensor, "networks parameters"],
    inputs: Tensor,
    buffers: Mapping[str, Tensor] = NOTHING,
    *,
    block: int | None = None,
) -> Tensor:
    """Outputs [networks, examples, ...] of networks given as rows, in evaluation mode.

    `buffers` are [networks, ...] by name, such as re-estimated running statistics; they go before those in the rows.
    Stacked networks are taken a few at a time so that the widest activations stay within about `block` values (None:
    what suits the device).
    """
    module.eval()
    stacked = layout.unflatten(rows) | dict(buffers)
    if not stackable(module):
        return torch.cat([_single(module, state, inputs) for state in _chunks(stacked, 1)])
    block = block or BLOCK.get(rows.device.type, BLOCK["cuda"])
    count = max(1, block // max(1, len(inputs) * _widest(module, inputs)))
    return torch.cat([forward(module, chunk, inputs, shared=True) for chunk in _chunks(stacked, count)])


def _widest(module: nn.Module, inputs: Tensor) -> int:
    """Values per example of the widest activations after a layer with weights, computed from shapes alone."""
    widest, x = 1, torch.empty_like(inputs[:1], device="meta")
    for layer in copy.deepcopy(module).to("meta").children():
        x = layer(x)
        if next(layer.parameters(), None) is not None:
            widest = max(widest, x.numel())
    return widest


def _single(module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Outputs [1, examples, ...] of a single network, batch by batch."""
    module.train().eval()  # some, such as LeViT, keep what they computed from weights until the mode changes
    return torch.cat([forward(module, state, batch, shared=True) for batch in inputs.split(EXAMPLES)], dim=1)


def _chunks(stacked: Mapping[str, Tensor], count: int) -> Iterator[dict[str, Tensor]]:
    """The same networks, `count` at a time."""
    networks = len(next(iter(stacked.values())))
    for start in range(0, networks, count):
        yield {name: tensor[start : start + count] for name, tensor in stacked.items()}
