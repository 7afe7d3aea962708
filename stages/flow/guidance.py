"""Classifier-free guidance of the velocity."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from stages.flow.ode import Velocity


def guided(network: Callable[..., Tensor], condition: Float[Tensor, " conditions"], weight: float) -> Velocity:
    """The unconditional velocity plus `weight` times its difference from the conditional one (classifier-free guidance:
    Ho and Salimans, arXiv 2207.12598).
    """

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        batch = condition.expand(len(x), -1)
        if weight == 1:
            return network(x, t, batch)
        unconditional = network(x, t)
        return unconditional + weight * (network(x, t, batch) - unconditional) if weight else unconditional

    return velocity


def network_calls(conditions: int, weight: float) -> int:
    """Calls of the network per velocity."""
    return 2 if conditions and weight not in (0, 1) else 1
