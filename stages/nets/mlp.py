"""ReLU multi-layer perceptrons, as a plain `torch.nn.Sequential`."""

from itertools import pairwise

from torch import nn

from stages.params.network import MLP


def build(network: MLP) -> nn.Sequential:
    """The module, with torch's own initialisation; one with a single output gives one number per example."""
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(network.widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1], *([nn.Flatten(0)] if network.widths[-1] == 1 else []))
