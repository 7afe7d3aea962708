"""From a network's description to its module and its symmetry table."""

from types import ModuleType

from torch import nn

from stages.nets import mlp
from stages.params.network import Network
from stages.symmetry.table import Symmetry

ARCHITECTURES: dict[str, ModuleType] = {"mlp": mlp}
"""Kind -> module with `build(network)` and `symmetry(network)`."""


def build(network: Network) -> nn.Module:
    """A fresh module of this architecture."""
    return ARCHITECTURES[network.kind].build(network)


def symmetry_of(network: Network) -> Symmetry:
    """Which axes of which tensors move together in this architecture."""
    return ARCHITECTURES[network.kind].symmetry(network)
