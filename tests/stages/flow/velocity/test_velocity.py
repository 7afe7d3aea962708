import pytest
import torch
from torch import nn

from stages.flow.velocity.mlp import VelocityMLP

DIM, HIDDEN, TIME = 7, 10, 3


def network(dropout: float = 0.1) -> VelocityMLP:
    torch.manual_seed(0)
    return VelocityMLP(DIM, 0, HIDDEN, TIME, dropout)


def trained(dropout: float = 0.1) -> VelocityMLP:
    """With an output layer that says something."""
    module = network(dropout)
    nn.init.normal_(module.out.weight)
    return module


X, T = torch.randn(5, DIM, generator=torch.Generator().manual_seed(1)), torch.linspace(0, 1, 5)


def test_the_velocity_is_zero_before_training():
    assert torch.equal(network()(X, T), torch.zeros(5, DIM))


def test_it_learns_from_there():
    module = network()
    (module(X, T) - 1).square().mean().backward()
    gradients = [float(p.grad.abs().max()) for p in module.out.parameters() if p.grad is not None]
    assert len(gradients) == 2
    assert min(gradients) > 0


def test_widths_are_the_paper_s():
    linear = [m for m in network().modules() if isinstance(m, nn.Linear)]
    widths = [(m.in_features, m.out_features) for m in linear]
    assert widths == [(1, 3), (3, 3), (10, 10), (10, 5), (5, 10), (10, 7)]  # time; h, h/2, h; out
    norms = [m.normalized_shape for m in network().modules() if isinstance(m, nn.LayerNorm)]
    assert norms == [(10,), (5,), (10,)]
    assert [m.p for m in network().modules() if isinstance(m, nn.Dropout)] == [0.1, 0.1]


def test_evaluation_is_deterministic_and_training_is_not():
    module = trained(0.5)
    module.train()
    assert not torch.equal(module(X, T), module(X, T))
    module.eval()
    assert torch.equal(module(X, T), module(X, T))


def test_without_dropout_training_equals_evaluation():
    module = trained(0.0)
    assert torch.equal(module.train()(X, T), module.eval()(X, T))


@pytest.mark.parametrize("what", ["x", "t"])
def test_the_velocity_depends_on_place_and_time(what):
    module = trained().eval()
    x, t = (X + 1, T) if what == "x" else (X, T.flip(0))
    assert not torch.allclose(module(x, t)[0], module(X, T)[0], atol=1e-4)


def test_points_of_a_batch_do_not_see_each_other():
    module = trained().eval()
    alone = torch.cat([module(x[None], t[None]) for x, t in zip(X, T, strict=True)])
    assert torch.allclose(module(X, T), alone, atol=1e-6)
