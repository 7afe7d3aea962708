"""What a step of the token flow needs, before it is taken."""

import pytest
import torch

from stages.errors import UsageError
from stages.flow.spaces.tokens import Tokens, TokenSet
from stages.flow_training.compute import check_memory, free_memory, precision, threads
from stages.params.fit import FitParams


def tokens(units: int, pairs: bool = True) -> Tokens:
    """Two sets of units, and perhaps all pairs between them."""

    def some(count: int, ends: tuple[int, int] | None = None) -> TokenSet:
        one = torch.ones(1)
        return TokenSet(torch.zeros(count, 1, dtype=torch.int64), one, one, one[None], one, ends)

    sets = (some(units), some(units), *([some(units**2, (0, 1))] if pairs else []))
    return Tokens(sets)


def params(batch: int) -> FitParams:
    velocity = {"kind": "tokens", "width": 64, "depth": 2, "heads": 4}
    return FitParams.model_validate({"space": {"kind": "tokens"}, "velocity": velocity, "steps": 1, "batch": batch})


def test_a_flow_that_does_not_fit_says_what_it_needs_and_what_would_help():
    with pytest.raises(
        UsageError, match=r"4,000 units and 4,000,000 pairs .* GiB at a batch of 64, .* lower fit\.batch"
    ):
        check_memory(tokens(2000), 10_000, params(64), 16.0)
    check_memory(tokens(2000), 10_000, params(1), 16.0)
    check_memory(tokens(2000, pairs=False), 10_000, params(64), 16.0)


def test_small_steps_take_one_thread():
    assert threads(tokens(4), 24, params(8), 2) == 1
    assert threads(tokens(400), 10_000, params(64), 2) == 2


def test_free_memory_is_that_of_a_machine():
    assert 0.01 < free_memory(torch.device("cpu")) < 100_000


def test_precision_holds_for_a_block():
    a = torch.randn(8, 8)
    with precision("bf16", torch.device("cpu")):
        assert (a @ a).dtype == torch.bfloat16
    with precision("fp32", torch.device("cpu")):
        assert (a @ a).dtype == torch.float32
    assert (a @ a).dtype == torch.float32
