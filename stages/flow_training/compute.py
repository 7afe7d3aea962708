"""On how many threads, and in which precision, a training step runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from stages.artifacts.spaces import Space
from stages.errors import UsageError
from stages.flow.spaces.tokens import Tokens
from stages.params.fit import FitParams, TokenVelocity

GIB = 2**30
UNIT_VALUES, PAIR_VALUES = 17, 6
"""Values that a block keeps for its backward pass: per unit in widths, per pair in pair widths."""
SMALL_STEP = 1e9
"""Floating-point operations of a training step below which one CPU thread does it."""


def threads(space: Space, dim: int, params: FitParams, available: int) -> int:
    """One thread while a step is small: a second loses more by waiting than it gains, most of all on a busy machine."""
    return available if 6 * params.batch * _products(space, dim, params) > SMALL_STEP else 1


def _products(space: Space, dim: int, params: FitParams) -> int:
    """Multiplications of one example's forward pass, about."""
    velocity = params.velocity
    if not isinstance(velocity, TokenVelocity):
        return 2 * dim * velocity.hidden + velocity.hidden**2
    units, pairs = _tokens(space)
    return velocity.depth * (12 * units * velocity.width**2 + 2 * pairs * velocity.pair_width**2)


def _tokens(space: Space) -> tuple[int, int]:
    """Units, and pairs of units."""
    assert isinstance(space, Tokens)
    units, pairs = (sum(s.tokens for s in space.shapes if (s.ends is None) == outer) for outer in (True, False))
    return units, pairs


def check_memory(space: Space, dim: int, params: FitParams, free: float) -> None:
    """Raise UsageError where a step of the token flow needs more than `free` GiB for what its backward pass keeps."""
    velocity = params.velocity
    if not isinstance(velocity, TokenVelocity):
        return
    units, pairs = _tokens(space)
    kept = UNIT_VALUES * units * velocity.width + PAIR_VALUES * pairs * velocity.pair_width
    needed = 4 * params.batch * (velocity.depth * kept + 4 * dim) / GIB
    if needed > free:
        raise UsageError(
            f"fit: {units:,} units and {pairs:,} pairs of units need about {needed:.1f} GiB at a batch of {params.batch}, "
            f"but {free:.1f} are free; lower fit.batch, fit.velocity.depth or pair_width, or use fit.space: {{kind: pca}}"
        )


def free_memory(device: torch.device) -> float:
    """GiB that are free on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / GIB
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB


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
