"""Weight initialisations, drawn from a generator."""

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


def initialise(network: Network, initialisation: Initialisation, generator: torch.Generator) -> dict[str, Tensor]:
    """A fresh state: parameters, then floating buffers, by the names of `Layout.of_module`.

    `torch` is the architecture's own. The others draw the weights of Linear and convolution layers and set their biases
    to zero; norms, embeddings and tokens stay the architecture's own.
    """
    plain = isinstance(network, MLP | CNN)  # every parameter is drawn from the generator itself
    module = build(network, 0 if plain else int(torch.randint(2**62, (), generator=generator)))
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear | _ConvNd):
                _fill(layer, initialisation, generator, plain)
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    return {slot.name: tensors[slot.name].detach() for slot in Layout.of_module(module).slots}


def _fill(layer: nn.Linear | _ConvNd, initialisation: Initialisation, generator: torch.Generator, plain: bool) -> None:
    """Initialise one layer in place; `torch` leaves it as it was built, unless the network is plain."""
    bound = layer.weight[0].numel() ** -0.5  # of reset_parameters, for weights and biases
    if initialisation != "torch":
        FILLS[initialisation](layer.weight, generator)
    elif plain:
        init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None and initialisation != "torch":
        init.zeros_(layer.bias)
    elif layer.bias is not None and plain:
        init.uniform_(layer.bias, -bound, bound, generator=generator)
