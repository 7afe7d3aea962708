"""On how many threads, and in which precision, a training step runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from stages.fitting.points import Points
from stages.flow.tokens import Tokens
from stages.params.fit import FitParams, TokenVelocity

SMALL_STEP = 1e9
"""Floating-point operations of a training step below which one CPU thread does it."""


def threads(points: Points, params: FitParams, available: int) -> int:
    """One thread while a step is small: a second loses more by waiting than it gains, most of all on a busy machine."""
    return available if 6 * params.batch * _products(points, params) > SMALL_STEP else 1


def _products(points: Points, params: FitParams) -> int:
    """Multiplications of one example's forward pass, about."""
    velocity = params.velocity
    if not isinstance(velocity, TokenVelocity):
        return 2 * points.dim * velocity.hidden + velocity.hidden**2
    assert isinstance(points.space, Tokens)
    units, pairs = (sum(s.tokens for s in points.space.shapes if (s.ends is None) == outer) for outer in (True, False))
    return velocity.depth * (12 * units * velocity.width**2 + 2 * pairs * velocity.pair_width**2)


@contextmanager
def precision(name: Literal["fp32", "tf32", "bf16"], device: torch.device) -> Iterator[None]:
    """TF32 products on CUDA, or bf16 ones wherever; restored afterwards."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda" and name != "fp32":
        torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
