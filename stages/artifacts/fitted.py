"""The trained flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stages.artifacts.spaces import Space, read_space
from stages.flow.conditions import Conditions
from stages.flow.coupling import Coupling
from stages.flow.source import Law
from stages.flow.spaces.tokens import Tokens
from stages.flow.velocity.mlp import VelocityMLP
from stages.flow.velocity.tokens import VelocityTokens
from stages.store.checkpoints import load_tensors, save_tensors

VELOCITY = "velocity.safetensors"
CURVES = "curves.csv"
WATCHED = "watched.csv"


@dataclass(frozen=True)
class Fitted:
    """A trained flow: its velocity network, the law and spread of its source noise and how it goes with members, the
    space that it lives on, and what it is told of the networks that it makes.
    """

    velocity: nn.Module
    dim: int
    source_law: Law
    source_std: float
    coupling: Coupling
    space: Space
    conditions: Conditions


def velocity_network(
    description: Mapping[str, Any], dim: int, source_std: float, space: Space, conditions: Conditions
) -> nn.Module:
    """The velocity network that parameters describe, for points of this dimension and space, from this source."""
    options = {name: value for name, value in description.items() if name != "kind"}
    if description["kind"] == "mlp":
        return VelocityMLP(dim, conditions.width, **options)
    assert isinstance(space, Tokens), "parameters are checked for this"
    return VelocityTokens(space.shapes, space.variance, source_std, conditions.width, **options)


def save_fitted(path: Path, weights: Mapping[str, Tensor], fitted: Fitted, description: Mapping[str, Any]) -> None:
    """Write the velocity network's weights and what describes the flow; the space is written by itself."""
    facts = {
        "velocity": dict(description),
        "dim": fitted.dim,
        "source_law": fitted.source_law,
        "source_std": fitted.source_std,
        "coupling": fitted.coupling,
        "conditions": fitted.conditions.to_json(),
    }
    save_tensors(path / VELOCITY, weights, facts)


def read_fitted(path: Path) -> Fitted:
    """The flow in a fitted artifact's folder, in evaluation mode."""
    tensors, facts = load_tensors(path / VELOCITY)
    space, conditions = read_space(path), Conditions.from_json(facts["conditions"])
    velocity = velocity_network(facts["velocity"], facts["dim"], facts["source_std"], space, conditions)
    velocity.load_state_dict(tensors)
    source = facts["source_law"], facts["source_std"], facts["coupling"]
    return Fitted(velocity.eval(), facts["dim"], *source, space, conditions)
