"""Fixed-step solvers of dx/dt = velocity(x, t) up to t = 1."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [batch, dim], t [batch]) -> dx/dt [batch, dim]."""
Step = Callable[[Velocity, Tensor, Tensor, float], Tensor]


def _euler(f: Velocity, x: Tensor, t: Tensor, h: float) -> Tensor:
    return x + h * f(x, t)


def _heun(f: Velocity, x: Tensor, t: Tensor, h: float) -> Tensor:
    k1 = f(x, t)
    k2 = f(x + h * k1, t + h)
    return x + h / 2 * (k1 + k2)


def _rk4(f: Velocity, x: Tensor, t: Tensor, h: float) -> Tensor:
    k1 = f(x, t)
    k2 = f(x + h / 2 * k1, t + h / 2)
    k3 = f(x + h / 2 * k2, t + h / 2)
    k4 = f(x + h * k3, t + h)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class Solver(NamedTuple):
    """One step of a solver, and how many velocities it evaluates; also the solver's order of convergence."""

    step: Step
    calls: int


SOLVERS = {"euler": Solver(_euler, 1), "heun": Solver(_heun, 2), "rk4": Solver(_rk4, 4)}
"""By the names of `sample.method`."""


@torch.no_grad()
def integrate(f: Velocity, x0: Tensor, method: str, steps: int, start: float = 0.0) -> Tensor:
    """Carry x0 [batch, dim] from t = `start` to t = 1 in `steps` equal steps."""
    x, h = x0, (1.0 - start) / steps
    for i in range(steps):
        x = SOLVERS[method].step(f, x, x.new_full((len(x),), start + i * h), h)
    return x
