"""How a flow's weights are moved, and how far at each step."""

import math

import torch
from torch import nn

from stages.params.fit import FitParams, Muon, Optimizer


def optimizers(model: nn.Module, params: Optimizer) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for matrices and AdamW for what is left, or AdamW for all."""
    if not isinstance(params, Muon):
        return (_adamw(list(model.parameters()), params),)
    matrices = [p for p in model.parameters() if p.ndim == 2 and p.numel()]
    rest = [p for p in model.parameters() if p.ndim != 2]
    muon = torch.optim.Muon(matrices, params.lr, params.weight_decay, params.momentum, adjust_lr_fn="match_rms_adamw")
    return muon, _adamw(rest, params)


def cosine(step: int, params: FitParams) -> float:
    """The learning rate of a step."""
    o = params.optimizer
    warm = min(1.0, (step + 1) / (o.warmup * params.steps)) if o.warmup else 1.0
    return warm * (o.final_lr + (o.lr - o.final_lr) * (1 + math.cos(math.pi * step / params.steps)) / 2)


def _adamw(weights: list[nn.Parameter], params: Optimizer) -> torch.optim.AdamW:
    return torch.optim.AdamW(weights, params.lr, params.betas, weight_decay=params.weight_decay, fused=True)
