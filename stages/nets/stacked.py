"""Many networks of one architecture at once: parameters stacked along a leading `networks` axis."""

import copy
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from stages.store.layout import Layout

PLAIN = (nn.Linear, nn.Conv2d, nn.Flatten, nn.Unflatten, nn.Identity, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid)
"""Layers that vmap turns into batched products, and that draw and remember nothing."""
LARGE = 300_000
"""Parameters above which a network's own products fill the processor, and stacking only costs memory."""
LARGE_CONVOLUTIONAL = 10_000
"""The same for chains with convolutions, whose weights are used at every position."""
EXAMPLES = 256
"""Examples that a network which isn't stacked takes at once in evaluation."""
BLOCK = {"cpu": 2**21, "cuda": 2**27}
"""Values of the widest layer that are made at once: on a CPU few enough to stay in its cache, and for memory that was
given back to be used again."""
NOTHING: Mapping[str, Tensor] = MappingProxyType({})


def stackable(module: nn.Module) -> bool:
    """Whether networks of this architecture run faster together: small chains of Linear and Conv2d layers do.

    vmap makes grouped convolutions. On a CPU those of strides and few channels are several times as fast as one network
    after the other, and faster than products of unfolded images; large ones are up to twice as slow.
    """
    if not (isinstance(module, nn.Sequential) and all(isinstance(layer, PLAIN) for layer in module)):
        return False
    convolutional = any(isinstance(layer, nn.Conv2d) for layer in module)
    return sum(p.numel() for p in module.parameters()) < (LARGE_CONVOLUTIONAL if convolutional else LARGE)


def forward(module: nn.Module, stacked: Mapping[str, Tensor], inputs: Tensor, *, shared: bool) -> Tensor:
    """Outputs [networks, batch, ...] of every network; a single one is called as it is, whatever its layers.

    `inputs` are [batch, ...] for all networks (`shared`) or [networks, batch, ...], each network's own. In training mode
    a single network's stacked buffers are updated in place.
    """
    if len(next(iter(stacked.values()))) == 1:
        state = {name: tensor.squeeze(0) for name, tensor in stacked.items()}
        return functional_call(module, state, (inputs if shared else inputs.squeeze(0),)).unsqueeze(0)

    def one(state: dict[str, Tensor], batch: Tensor) -> Tensor:
        return functional_call(module, state, (batch,))

    return vmap(one, in_dims=(0, None if shared else 0))(dict(stacked), inputs)


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
        return torch.cat([_alone(module, part, inputs) for part in _parts(stacked, 1)])
    block = block or BLOCK.get(rows.device.type, BLOCK["cuda"])
    several = max(1, block // max(1, len(inputs) * _widest(module, inputs)))
    return torch.cat([forward(module, part, inputs, shared=True) for part in _parts(stacked, several)])


def _widest(module: nn.Module, inputs: Tensor) -> int:
    """Values per example that the widest layer with weights makes; by shapes alone."""
    widest, x = 1, torch.empty_like(inputs[:1], device="meta")
    for layer in copy.deepcopy(module).to("meta").children():
        x = layer(x)
        if next(layer.parameters(), None) is not None:
            widest = max(widest, x.numel())
    return widest


def _alone(module: nn.Module, one: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Outputs [1, examples, ...] of a single network, a few examples at a time."""
    return torch.cat([forward(module, one, part, shared=True) for part in inputs.split(EXAMPLES)], dim=1)


def _parts(stacked: Mapping[str, Tensor], several: int) -> Iterator[dict[str, Tensor]]:
    networks = len(next(iter(stacked.values())))
    for start in range(0, networks, several):
        yield {name: tensor[start : start + several] for name, tensor in stacked.items()}
