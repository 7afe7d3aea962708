import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_close, generators

from stages.flow.path import linear_path


def pair(draw: torch.Generator, batch: int = 5, dim: int = 3):
    x0, x1 = (torch.randn(batch, dim, generator=draw, dtype=torch.float64) for _ in range(2))
    return x0, x1, torch.rand(batch, generator=draw, dtype=torch.float64)


@given(draw=generators())
def test_the_path_meets_both_ends_exactly(draw):
    x0, x1, t = pair(draw)
    assert torch.equal(linear_path(x0, x1, torch.zeros_like(t)).x_t, x0)
    assert torch.equal(linear_path(x0, x1, torch.ones_like(t)).x_t, x1)


@given(draw=generators())
def test_the_target_is_the_path_s_derivative(draw):
    x0, x1, t = pair(draw)
    h = 1e-3
    after, before = (linear_path(x0, x1, t + step).x_t for step in (h, -h))
    assert_close(linear_path(x0, x1, t).velocity, (after - before) / (2 * h), 1e-10)


@given(draw=generators())
def test_following_the_target_from_any_point_ends_at_the_data(draw):
    x0, x1, t = pair(draw)
    sample = linear_path(x0, x1, t)
    assert_close(sample.x_t + (1 - t)[:, None] * sample.velocity, x1)


@given(draw=generators())
def test_every_pair_has_its_own_time(draw):
    x0, x1, t = pair(draw)
    sample = linear_path(x0, x1, t)
    assert torch.equal(sample.t, t)
    for i in range(len(t)):
        assert_close(sample.x_t[i], (1 - t[i]) * x0[i] + t[i] * x1[i])


@given(draw=generators(), size=st.floats(0.001, 10))
def test_noise_moves_the_point_but_not_the_target(draw, size):
    x0, x1, t = pair(draw)
    noise = size * torch.randn(x0.shape, generator=draw, dtype=torch.float64)
    plain, noisy = linear_path(x0, x1, t), linear_path(x0, x1, t, noise)
    assert_close(noisy.x_t - plain.x_t, noise, 1e-9)
    assert torch.equal(noisy.velocity, plain.velocity)


@pytest.mark.parametrize("t", [torch.zeros(4), torch.zeros(5, 1), torch.zeros(5, dtype=torch.int64)])
def test_a_time_per_pair_is_asked_for(t):
    from jaxtyping import TypeCheckError

    with pytest.raises(TypeCheckError):
        linear_path(torch.zeros(5, 3), torch.zeros(5, 3), t)
