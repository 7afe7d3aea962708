"""Initial weights of one member, drawn from its own generator."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import init

from stages.params.zoo import Initialisation

Fill = Callable[[Tensor, torch.Generator], Tensor]

FILLS: dict[str, Fill] = {
    "kaiming_uniform": lambda w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "xavier_uniform": lambda w, g: init.xavier_uniform_(w, generator=g),
    "uniform": lambda w, g: init.uniform_(w, -0.5, 0.5, generator=g),
    "normal": lambda w, g: init.normal_(w, std=0.5, generator=g),
}


def initialise(module: nn.Module, how: Initialisation, generator: torch.Generator) -> dict[str, Tensor]:
    """A fresh state dict of a module made of Linear layers; the module itself is left alone."""
    state = {name: torch.empty_like(tensor) for name, tensor in module.state_dict().items()}
    for prefix, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            weight, bias = state[f"{prefix}.weight"], state[f"{prefix}.bias"]
            if how == "torch":
                bound = layer.in_features**-0.5  # what Linear.reset_parameters draws weights and biases from
                init.uniform_(weight, -bound, bound, generator=generator)
                init.uniform_(bias, -bound, bound, generator=generator)
            else:
                FILLS[how](weight, generator)
                init.zeros_(bias)
    return state
