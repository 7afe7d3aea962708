"""The interface of velocity networks: what each kind's module builds, and what a training step of it costs."""

from importlib import import_module
from typing import NamedTuple

from torch import nn

from stages.flow.spaces.base import Space
from stages.params.fit import VelocityParams


class Cost(NamedTuple):
    """What one example costs in training, about."""

    products: int
    """Multiplications of its forward pass."""
    activations: int
    """Values kept for its backward pass; 0 where these never run a machine out of memory."""
    tokens: str
    """What the network attends over, for people; empty where it doesn't."""


def build_velocity(params: VelocityParams, dim: int, space: Space, source_std: float, conditions: int) -> nn.Module:
    """The velocity network `(x [batch, dim], t [batch], c [batch, conditions] | None) -> dx/dt [batch, dim]`.

    Its module in this package is imported by name, as `stages.flow.spaces.base` imports spaces, for the same reason.
    """
    return import_module(f"stages.flow.velocity.{params.kind}").build(params, dim, space, source_std, conditions)


def cost_of(params: VelocityParams, dim: int, space: Space) -> Cost:
    """The cost of one example in training."""
    return import_module(f"stages.flow.velocity.{params.kind}").cost(params, dim, space)
