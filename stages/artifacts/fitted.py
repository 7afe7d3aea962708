"""The trained flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from stages.flow.conditions import Conditions
from stages.flow.coupling import Coupling
from stages.flow.path import Law
from stages.flow.spaces.base import Space, read_space
from stages.flow.velocity.base import build_velocity
from stages.params.fit import VelocityParams, velocity_from
from stages.store.checkpoints import load_tensors, save_tensors

VELOCITY = "velocity.safetensors"
CURVES = "curves.csv"
"""Losses and dispersion."""
SAMPLE_SCORES = "watched.csv"
"""Scores and novelty of samples drawn during the fit."""


@dataclass(frozen=True)
class Fitted:
    """A trained flow: its velocity network, the distribution of its source noise and the coupling of noise and members,
    the space that it lives on, and what it is conditioned on.
    """

    velocity: nn.Module
    dim: int
    source_law: Law
    source_std: float
    coupling: Coupling
    space: Space
    conditions: Conditions


def save_fitted(path: Path, weights: Mapping[str, Tensor], fitted: Fitted, params: VelocityParams) -> None:
    """Write the weights of the velocity network, described by `params`, and the flow's other facts but its space."""
    facts = {
        "velocity": params.model_dump(),
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
    params, dim, source_std = velocity_from(facts["velocity"]), facts["dim"], facts["source_std"]
    velocity = build_velocity(params, dim, space, source_std, conditions.width)
    velocity.load_state_dict(tensors)
    source = facts["source_law"], source_std, facts["coupling"]
    return Fitted(velocity.eval(), dim, *source, space, conditions)
