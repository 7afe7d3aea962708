"""Optimizers, learning rate schedules and gradient clipping of a training recipe."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stages.params.zoo import Recipe

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 250_000
"""Learning rates of one_cycle relative to its peak, as in arXiv 1708.07120 and torch's defaults."""


def optimizer_for(recipe: Recipe, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
    """The recipe's optimizer; its learning rate is to be set before every step."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            weights, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=recipe.nesterov, fused=True
        )
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Give the optimizer the learning rate of this step."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.lr * relative_rate(recipe, step, steps)


def relative_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate at step 0 to `steps - 1`, relative to the recipe's."""
    warmup = recipe.warmup * steps
    if recipe.schedule == "one_cycle":
        peak = max(warmup - 1, 0.5)  # a cycle of a few steps still rises
        if step <= peak:
            return half_cosine(ONE_CYCLE_START, 1, math.pi * min(step / peak, 1))
        fraction = min((step - peak) / max(steps - 1 - peak, 1), 1)
        return half_cosine(1, ONE_CYCLE_END, math.pi * fraction)
    if step < warmup:
        return (step + 1) / math.ceil(warmup)
    fraction = min((step - warmup) / (steps - warmup), 1)
    return half_cosine(1, 0, math.pi * fraction) if recipe.schedule == "cosine" else 1.0


def clip(weights: Sequence[Tensor], max_norm: float) -> None:
    """Clip the norm of each member's gradient, over all its weights [members, ...], to `max_norm`."""
    grads = [weight.grad for weight in weights if weight.grad is not None]
    norms = torch.stack([grad.reshape(len(grad), -1).norm(dim=1) for grad in grads]).norm(dim=0)
    scale = (max_norm / norms.clamp_min(1e-12)).clamp_max(1)
    for grad in grads:
        grad.mul_(scale.view(-1, *[1] * (grad.ndim - 1)))


def half_cosine(start: float, end: float, angle: float) -> float:
    """From `start` at an angle of 0 to `end` at pi."""
    return end + (start - end) * (1 + math.cos(angle)) / 2
