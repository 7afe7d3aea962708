"""The error of outputs: what it measures, and that it doesn't move the best velocity."""

import pytest
import torch
from strategies import mlp_symmetry, random_rows
from torch import Tensor

from stages.flow.path import PathSample
from stages.flow.spaces.tokens import Tokens, tokens_of
from stages.flow_training.output_loss import EXAMPLES, OutputLoss
from stages.nets.registry import build
from stages.nets.stacked import forward
from stages.params.network import MLP

NETWORK = MLP(widths=(4, 5, 3, 2))
LAYOUT, ROWS = random_rows(NETWORK, 9)


def double(tokens: Tokens) -> Tokens:
    """In double precision, for differences to be told from round-off."""
    sets = [
        type(s)(s.positions, s.mean.double(), s.std.double(), s.axes.double(), s.variance, s.ends) for s in tokens.sets
    ]
    return Tokens(tuple(sets))


TOKENS = double(tokens_of(LAYOUT, mlp_symmetry(NETWORK), [ROWS]))
INPUTS = torch.randn(1, 4, generator=torch.Generator().manual_seed(1)).double()  # one example: which is drawn is known
LOSS = OutputLoss(build(NETWORK).double().eval(), LAYOUT, TOKENS, INPUTS)


def drawn(seed: int, count: int = 3) -> Tensor:
    return torch.randn(count, TOKENS.dim, generator=torch.Generator().manual_seed(seed)).double()


T = torch.tensor([0.1, 0.5, 0.9]).double()


def loss(velocity: Tensor, target: Tensor) -> Tensor:
    return LOSS(PathSample(drawn(0), T, target), velocity, torch.Generator().manual_seed(0))


def outputs(points: Tensor) -> Tensor:
    return forward(LOSS.module, LAYOUT.unflatten(TOKENS.decode_rows(points)), INPUTS, shared=True)


def test_rows_move_as_decoded_tokens_do():
    a, b = drawn(3), drawn(4)
    assert torch.allclose(TOKENS.decode_velocity(a - b), TOKENS.decode_rows(a) - TOKENS.decode_rows(b))


def test_it_is_how_far_outputs_move_apart():
    target, velocity, h = drawn(1), drawn(2), 1e-6
    end = drawn(0) + (1 - T).unsqueeze(1) * velocity  # where the path seems to lead
    of_target, predicted = ((outputs(end + h * v) - outputs(end - h * v)) / (2 * h) for v in (target, velocity))
    expected = ((predicted - of_target).square().mean((1, 2)) / predicted.square().mean((1, 2))).mean()
    assert float(loss(velocity, target)) == pytest.approx(float(expected), rel=1e-5)


def test_the_best_velocity_is_the_mean_of_what_may_follow():
    ends = [drawn(5), drawn(6), drawn(7)]

    def pull(velocity: Tensor) -> float:
        velocity = velocity.clone().requires_grad_()
        torch.stack([loss(velocity, end) for end in ends]).mean().backward()
        assert velocity.grad is not None
        return float(velocity.grad.norm())

    mean = torch.stack(ends).mean(0)
    assert pull(mean) < 1e-9
    assert pull(mean + 0.1 * drawn(8)) > 1e-3


def test_weights_that_change_no_output_count_nothing():
    silent = OutputLoss(LOSS.module, LAYOUT, TOKENS, torch.zeros_like(INPUTS))
    slot = next(slot for slot in LAYOUT.slots if slot.name == "1.weight")  # multiplies inputs, which are zero
    rows = torch.zeros(3, LAYOUT.size).double()
    rows[:, slot.offset : slot.offset + slot.size] = 1.0
    target = drawn(1)
    velocity = target + TOKENS.encode_rows(rows) - TOKENS.encode_rows(torch.zeros_like(rows))
    assert float(loss(velocity, target)) > 1e-4
    assert float(silent(PathSample(drawn(0), T, target), velocity, torch.Generator())) < 1e-9


def test_a_few_examples_are_drawn_by_the_generator():
    many = OutputLoss(LOSS.module, LAYOUT, TOKENS, torch.randn(10 * EXAMPLES, 4).double())
    path = PathSample(drawn(0), T, drawn(1))
    found = [float(many(path, drawn(2), torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
