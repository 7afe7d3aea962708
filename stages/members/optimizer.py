"""From a recipe to steps: the optimizer, its learning rate at every step, and the limit on gradients."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stages.params.zoo import Recipe

FIRST, LAST = 1 / 25, 1 / 250_000
"""Where one_cycle starts and ends, relative to its peak; as in arXiv 1708.07120 and torch's defaults."""


def optimizer_for(recipe: Recipe, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
    """The recipe's optimizer; its learning rate is to be set before every step."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            weights, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=recipe.nesterov, fused=True
        )
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Give the optimizer the learning rate of this step."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.lr * rate(recipe, step, steps)


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate at step 0 to `steps - 1`, relative to the recipe's."""
    rising = recipe.warmup * steps
    if recipe.schedule == "one_cycle":
        peak = max(rising - 1, 0.5)  # a cycle of a few steps still rises
        if step <= peak:
            return _glide(FIRST, 1, step / peak)
        return _glide(1, LAST, (step - peak) / max(steps - 1 - peak, 1))
    if step < rising:
        return (step + 1) / math.ceil(rising)
    return _glide(1, 0, (step - rising) / (steps - rising)) if recipe.schedule == "cosine" else 1.0


def _glide(start: float, end: float, share: float) -> float:
    """Along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1))) / 2


def clip(weights: Sequence[Tensor], most: float) -> None:
    """Shorten each member's gradient, over all its weights [members, ...], to a norm of `most`."""
    grads = [weight.grad for weight in weights if weight.grad is not None]
    norms = torch.stack([grad.reshape(len(grad), -1).norm(dim=1) for grad in grads]).norm(dim=0)
    scale = (most / norms.clamp_min(1e-12)).clamp_max(1)
    for grad in grads:
        grad.mul_(scale.view(-1, *[1] * (grad.ndim - 1)))
