"""Initial weights of one member, drawn from its own generator."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.nn.modules.conv import _ConvNd

from stages.nets.registry import build
from stages.params.network import CNN, MLP, Network
from stages.params.zoo import Initialisation
from stages.store.layout import Layout

Fill = Callable[[Tensor, torch.Generator], Tensor]

FILLS: dict[str, Fill] = {
    "kaiming_uniform": lambda w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "xavier_uniform": lambda w, g: init.xavier_uniform_(w, generator=g),
    "uniform": lambda w, g: init.uniform_(w, -0.5, 0.5, generator=g),
    "normal": lambda w, g: init.normal_(w, std=0.5, generator=g),
}


def initialise(network: Network, how: Initialisation, generator: torch.Generator) -> dict[str, Tensor]:
    """A fresh state: parameters, then floating buffers, by the names of `Layout.of_module`.

    `torch` is the architecture's own. The others draw the weights of Linear and convolution layers and set their biases
    to zero; norms, embeddings and tokens stay the architecture's own.
    """
    plain = isinstance(network, MLP | CNN)  # everything comes from the generator itself
    module = build(network, 0 if plain else _seed(generator))
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear | _ConvNd):
                _fill(layer, how, generator, plain)
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    return {slot.name: tensors[slot.name].detach() for slot in Layout.of_module(module).slots}


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


def _fill(layer: nn.Linear | _ConvNd, how: Initialisation, generator: torch.Generator, plain: bool) -> None:
    """Draw one layer anew; `torch` leaves it as it was built, unless it's one of a plain network."""
    bound = layer.weight[0].numel() ** -0.5  # what reset_parameters draws weights and biases from
    if how != "torch":
        FILLS[how](layer.weight, generator)
    elif plain:
        init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None and how != "torch":
        init.zeros_(layer.bias)
    elif layer.bias is not None and plain:
        init.uniform_(layer.bias, -bound, bound, generator=generator)
