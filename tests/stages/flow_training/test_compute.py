"""Threads, memory and precision of a training step, from its cost."""

import pytest
import torch

from stages.errors import UsageError
from stages.flow.spaces.raw import RawSpace
from stages.flow.spaces.tokens import Tokens, TokenSet
from stages.flow.velocity.base import Cost, cost_of
from stages.flow_training.compute import check_memory, free_memory, precision, threads
from stages.params.fit import TokenVelocity, Velocity


def tokens(units: int, pairs: bool = True) -> Tokens:
    """Two sets of units, and perhaps all pairs between them."""

    def some(count: int, ends: tuple[int, int] | None = None) -> TokenSet:
        one = torch.ones(1)
        return TokenSet(torch.zeros(count, 1, dtype=torch.int64), one, one, one[None], one, ends)

    sets = (some(units), some(units), *([some(units**2, (0, 1))] if pairs else []))
    return Tokens(sets)


def cost(space: Tokens, dim: int) -> Cost:
    return cost_of(TokenVelocity(width=64, depth=2, heads=4), dim, space)


def test_a_flow_that_does_not_fit_names_its_need_and_what_would_help():
    with pytest.raises(
        UsageError, match=r"4,000 units and 4,000,000 pairs .* GiB at a batch of 64, .* lower fit\.batch"
    ):
        check_memory(cost(tokens(2000), 10_000), 64, 16.0)
    check_memory(cost(tokens(2000), 10_000), 1, 16.0)
    check_memory(cost(tokens(2000, pairs=False), 10_000), 64, 16.0)


def test_small_steps_take_one_thread():
    assert threads(cost(tokens(4), 24), 8, 2) == 1
    assert threads(cost(tokens(400), 10_000), 64, 2) == 2


@pytest.mark.parametrize(("hidden", "expected"), [(32, 1), (4096, 2)])
def test_an_mlp_costs_what_its_widths_do_and_never_runs_out_of_memory(hidden: int, expected: int):
    mlp = cost_of(Velocity(hidden=hidden), 1000, RawSpace())
    assert threads(mlp, 8, 2) == expected
    check_memory(mlp, 10**6, 1e-9)


def test_free_memory_is_that_of_a_machine():
    assert 0.01 < free_memory(torch.device("cpu")) < 100_000


def test_precision_holds_for_a_block():
    a = torch.randn(8, 8)
    with precision("bf16", torch.device("cpu")):
        assert (a @ a).dtype == torch.bfloat16
    with precision("fp32", torch.device("cpu")):
        assert (a @ a).dtype == torch.float32
    assert (a @ a).dtype == torch.float32
