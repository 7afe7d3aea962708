"""Modules, and inputs for them, from the descriptions of networks."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor, nn

from stages.params.network import Network
from stages.seeds import generator, global_seed


def build(network: Network, seed: int = 0) -> nn.Module:
    """A module of this architecture in float32, with its own initialisation drawn from this seed.

    torch's global generators stay as they were. Raises UsageError if there is no such model.
    """
    with global_seed("build", seed):
        return _architecture(network).build(network).float()


@torch.no_grad()
def assign(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Overwrite parameters and buffers by these names; unlike `load_state_dict` it asks for no versions of modules."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if name in tensors:
            tensor.copy_(tensors[name])


def _architecture(network: Network) -> ModuleType:
    """The Python module with `build(network)`, imported by name; `Params.modules` names it too, for the zoo's key."""
    return import_module(f"stages.nets.{network.kind}")


def example_input(network: Network, batch: int = 2) -> Tensor:
    """Random inputs [batch, ...], always the same; token ids end in padding in all but the first example."""
    draw, shape = generator("example input"), (batch, *network.shape)
    if network.tokens is None:
        return torch.randn(shape, generator=draw)
    ids = torch.randint(1, network.tokens, shape, generator=draw)
    ids[1:, shape[1] - shape[1] // 4 :] = 0
    return ids
