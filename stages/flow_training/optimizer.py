"""Optimizers and the learning rate schedule of the flow's training."""

import math

import torch
from torch import nn

from stages.members.optimizer import half_cosine
from stages.params.fit import FitParams, Muon, Optimizer


def optimizers(model: nn.Module, params: Optimizer) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for matrices and AdamW for the rest, or AdamW for all."""
    if not isinstance(params, Muon):
        return (_adamw(list(model.parameters()), params),)
    matrices = [p for p in model.parameters() if p.ndim == 2 and p.numel()]
    rest = [p for p in model.parameters() if p.ndim != 2]
    muon = torch.optim.Muon(matrices, params.lr, params.weight_decay, params.momentum, adjust_lr_fn="match_rms_adamw")
    return muon, _adamw(rest, params)


def learning_rate(step: int, params: FitParams) -> float:
    """The learning rate of a step."""
    o = params.optimizer
    warmup = min(1.0, (step + 1) / (o.warmup * params.steps)) if o.warmup else 1.0
    return warmup * half_cosine(o.lr, o.final_lr, math.pi * step / params.steps)


def _adamw(weights: list[nn.Parameter], params: Optimizer) -> torch.optim.AdamW:
    return torch.optim.AdamW(weights, params.lr, params.betas, weight_decay=params.weight_decay, fused=True)
