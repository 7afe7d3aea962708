"""The trained flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from stages.artifacts.spaces import Space, read_space
from stages.flow.source import Law
from stages.flow.tokens import Tokens
from stages.flow.velocity_mlp import VelocityMLP
from stages.flow.velocity_tokens import VelocityTokens
from stages.store.checkpoints import load_tensors

VELOCITY = "velocity.safetensors"
CURVES = "curves.csv"


@dataclass(frozen=True)
class Fitted:
    """A trained flow: its velocity network, the law and spread of its source noise, and the space that it lives on."""

    velocity: nn.Module
    dim: int
    source_law: Law
    source_std: float
    space: Space


def velocity_network(description: Mapping[str, Any], dim: int, space: Space) -> nn.Module:
    """The velocity network that parameters describe, for points of this dimension and space."""
    options = {name: value for name, value in description.items() if name != "kind"}
    if description["kind"] == "mlp":
        return VelocityMLP(dim, **options)
    assert isinstance(space, Tokens), "parameters are checked for this"
    return VelocityTokens(space.shapes, **options)


def read_fitted(path: Path) -> Fitted:
    """The flow in a fitted artifact's folder, in evaluation mode."""
    tensors, facts = load_tensors(path / VELOCITY)
    space = read_space(path)
    velocity = velocity_network(facts["velocity"], facts["dim"], space)
    velocity.load_state_dict(tensors)
    return Fitted(velocity.eval(), facts["dim"], facts["source_law"], facts["source_std"], space)
