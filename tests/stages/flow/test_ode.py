from math import exp, sin
from typing import get_args

import numpy as np
import pytest
import torch
from strategies import assert_close

from stages.flow.ode import SOLVERS, integrate
from stages.params.sample import SampleParams

METHODS = sorted(SOLVERS)
X0 = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)

FIELDS = {
    # velocity, and the factor between the ends at t = 0 and t = 1
    "growth": (lambda x, t: 1.3 * x, exp(1.3)),
    "decay": (lambda x, t: -2.0 * x, exp(-2.0)),
    "in time": (lambda x, t: torch.cos(t)[:, None] * x, exp(sin(1.0))),
}


def order(method: str, field, factor: float) -> float:
    """Slope of log error over log step length."""
    steps = np.array([8, 16, 32, 64])
    errors = [float((integrate(field, X0, method, int(n)) - factor * X0).abs().max()) for n in steps]
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(("method", "expected"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_order_of_convergence(method, expected, name):
    assert order(method, *FIELDS[name]) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_a_straight_path_is_exact_in_one_step(method):
    x1 = torch.tensor([[5.0, 5.0], [-1.0, 0.0]], dtype=torch.float64)
    assert_close(integrate(lambda x, t: x1 - X0, X0, method, 1), x1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [1, 7])
def test_the_velocity_is_called_as_often_as_stated_and_within_the_interval(method, steps):
    times = []

    def field(x, t):
        assert t.shape == (len(x),)
        assert x.shape == X0.shape
        assert bool((t == t[0]).all())
        times.append(float(t[0]))
        return -x

    integrate(field, X0, method, steps)
    assert len(times) == steps * SOLVERS[method].calls
    assert times[0] == 0
    assert max(times) <= 1 + 1e-12
    grid = [t for i, t in enumerate(times) if i % SOLVERS[method].calls == 0]
    assert grid == pytest.approx([i / steps for i in range(steps)])


@pytest.mark.parametrize("method", METHODS)
def test_points_of_a_batch_do_not_see_each_other(method):
    field = FIELDS["in time"][0]
    together = integrate(field, X0, method, 5)
    alone = torch.cat([integrate(field, x[None], method, 5) for x in X0])
    assert_close(together, alone)


def test_the_start_is_left_alone_and_no_gradient_is_kept():
    before = X0.clone()
    x0 = X0.clone().requires_grad_()
    assert not integrate(lambda x, t: x, x0, "rk4", 3).requires_grad
    assert torch.equal(x0, before)


@pytest.mark.parametrize("name", FIELDS)
def test_a_late_start_goes_the_rest_of_the_way(name):
    field, factor = FIELDS[name]
    half = integrate(lambda x, t: field(x, t / 2) / 2, X0, "rk4", 500)  # the first half, in its own time
    assert_close(integrate(field, half, "rk4", 500, start=0.5), factor * X0)


def test_every_solver_can_be_asked_for():
    assert set(get_args(SampleParams.model_fields["method"].annotation)) == set(SOLVERS)
