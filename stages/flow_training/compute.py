"""Threads, memory and precision of a training step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from stages.errors import UsageError
from stages.flow.velocity.base import Cost
from stages.memory import available_memory

GIB = 2**30
SMALL_STEP = 1e9
"""Floating-point operations of a training step below which one CPU thread does it."""


def threads(cost: Cost, batch: int, available: int) -> int:
    """One thread while a step is small: a second loses more by waiting than it gains, most of all on a busy machine."""
    return available if 6 * batch * cost.products > SMALL_STEP else 1


def check_memory(cost: Cost, batch: int, free_gib: float) -> None:
    """Raise UsageError where a step's backward pass needs more than the memory that is free."""
    needed = 4 * batch * cost.activations / GIB
    if needed > free_gib:
        raise UsageError(
            f"fit: {cost.tokens} need about {needed:.1f} GiB at a batch of {batch}, but {free_gib:.1f} are free; "
            "lower fit.batch, fit.velocity.depth or pair_width, or use fit.space: {kind: pca}"
        )


def free_memory(device: torch.device) -> float:
    """GiB that are free on a device; as many as anybody wants where the system doesn't say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / GIB
    available = available_memory()
    return math.inf if available is None else available / GIB


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
