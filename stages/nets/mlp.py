"""ReLU multi-layer perceptrons, as a plain `torch.nn.Sequential`."""

from itertools import pairwise

from torch import nn

from stages.params.network import MLP
from stages.symmetry.table import Axis, Symmetry


def build(network: MLP) -> nn.Sequential:
    """The module, with torch's own initialisation."""
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(network.widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def symmetry(network: MLP) -> Symmetry:
    """One group per hidden layer: rows and bias of the layer below, columns of the layer above."""
    groups = {}
    for hidden in range(1, len(network.widths) - 1):
        below, above = 2 * hidden - 1, 2 * hidden + 1  # positions in the Sequential
        groups[f"hidden{hidden}"] = (
            Axis(f"{below}.weight", 0, +1),
            Axis(f"{below}.bias", 0, +1),
            Axis(f"{above}.weight", 1, -1),
        )
    return Symmetry(groups)
