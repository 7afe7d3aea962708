"""Modules, and inputs for them, from the descriptions of networks."""

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
