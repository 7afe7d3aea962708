"""The velocity towards networks of which something is known."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from stages.flow.ode import Velocity


def guided(network: Callable[..., Tensor], condition: Float[Tensor, " conditions"], weight: float) -> Velocity:
    """The velocity without what is known, plus `weight` times what knowing it changes (classifier-free guidance: Ho and
    Salimans, arXiv 2207.12598).
    """

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        told = condition.expand(len(x), -1)
        if weight == 1:
            return network(x, t, told)
        without = network(x, t)
        return without + weight * (network(x, t, told) - without) if weight else without

    return velocity


def calls(conditions: int, weight: float) -> int:
    """How often the network is called for one velocity."""
    return 2 if conditions and weight not in (0, 1) else 1
