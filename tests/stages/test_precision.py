"""A network that casts to narrower types by itself computes in double precision all the same."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stages.precision import DoublePrecision

NARROWING: dict[str, Callable[[Tensor], Tensor]] = {
    "float": lambda x: x.float().square() + 1e-9,
    "half": lambda x: x.half().double() + 1e-9,
    "to": lambda x: x.to(torch.bfloat16) @ x.to(torch.bfloat16).T,
    "softmax": lambda x: x.softmax(-1, dtype=torch.float32),
    "sum": lambda x: x.sum(-1, dtype=torch.float32),
    "type_as": lambda x: x.type_as(torch.zeros(1)) * 1.1,
    "zeros": lambda x: x @ torch.zeros(4, 2).fill_(0.1),
    "tensor": lambda x: x * torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).float(),
    "assigned": lambda x: torch.zeros(3, 4).copy_(x),
    "fft": lambda x: torch.fft.rfft(x.float()).abs(),
}


@pytest.mark.parametrize("name", NARROWING)
def test_casts_and_fresh_tensors_are_of_double_precision(name: str):
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double()
    shifted = x + 1e-12
    with DoublePrecision():
        a, b = NARROWING[name](x), NARROWING[name](shifted)
    assert a.dtype == torch.float64
    assert 0 < float((a - b).abs().max()) < 1e-10  # a change below float32's resolution comes through


def test_whole_numbers_and_truth_values_stay():
    with DoublePrecision():
        assert torch.arange(3).dtype == torch.int64
        assert (torch.zeros(3) > 0).dtype == torch.bool
    assert torch.zeros(3).dtype == torch.float32
