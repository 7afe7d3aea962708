"""What a step of each optimizer does to matrices and to everything else."""

import pytest
import torch
from torch import Tensor, nn

from stages.flow_training.optimizer import learning_rate, optimizers
from stages.params.fit import AdamW, FitParams, Muon, Optimizer

SHAPES = [(6, 4), (5, 5), (3, 8)]


def moved(shape: tuple[int, int], params: Optimizer) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient of a layer's matrix, how far one step moves that, and how far the bias."""
    torch.manual_seed(0)
    layer = nn.Linear(shape[1], shape[0])
    before = [p.detach().clone() for p in layer.parameters()]
    layer(torch.randn(7, shape[1])).pow(3).sum().backward()
    for optimizer in optimizers(layer, params):
        optimizer.step()
    matrix, bias = (p.detach() - old for p, old in zip(layer.parameters(), before, strict=True))
    assert layer.weight.grad is not None
    return layer.weight.grad, matrix, bias


@pytest.mark.parametrize("shape", SHAPES)
def test_muon_moves_a_matrix_alike_in_all_directions_of_its_gradient(shape: tuple[int, int]):
    gradient, step, _ = moved(shape, Muon(lr=0.1, weight_decay=0.0))
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    along = torch.diagonal(u.T @ step @ v.T) / -(0.2 * 0.1 * max(shape) ** 0.5)
    assert 0.6 < float(along.min()) <= float(along.max()) < 1.3  # Newton-Schulz comes near 1, and no nearer
    assert torch.allclose(u @ torch.diag(torch.diagonal(u.T @ step @ v.T)) @ v, step, atol=3e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_adamw_does_not(shape: tuple[int, int]):
    gradient, step, _ = moved(shape, AdamW(lr=0.1, weight_decay=0.0))
    assert torch.allclose(step, -0.1 * gradient.sign(), atol=1e-4)


def test_both_move_biases_in_the_same_way():
    one, other = (moved((6, 4), params)[2] for params in (Muon(lr=0.1), AdamW(lr=0.1)))
    assert torch.equal(one, other)


def test_the_rate_rises_then_follows_a_cosine():
    values = {
        "steps": 100,
        "batch": 1,
        "velocity": {"hidden": 2},
        "optimizer": {"lr": 1.0, "final_lr": 0.1, "warmup": 0.1},
    }
    params = FitParams.model_validate(values)
    rates = [learning_rate(step, params) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[50] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
