"""Scores and losses of complete networks on the data that a zoo may see."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from stages.datasets import Train, Validation
from stages.nets.stacked import outputs
from stages.scores import score_and_loss
from stages.store.layout import Layout


def scores_and_losses(
    module: nn.Module, rows: Tensor, data: Train | Validation, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and mean losses, [networks] each, of complete networks given as rows [networks, parameters]."""
    layout, blocks = Layout.of_module(module), zip(data.inputs.split(10_000), data.targets.split(10_000), strict=True)
    computed = ((outputs(module, layout, rows, inputs.to(device)).cpu(), targets) for inputs, targets in blocks)
    scores, losses = score_and_loss(computed)
    return scores.numpy(), losses.numpy()


def fitting_scores(
    module: nn.Module,
    rows: Tensor,
    data: Mapping[str, tuple[Train, Validation]],
    names: np.ndarray,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """`train_score`, `train_loss`, `validation_score` and `validation_loss` [networks] of the zoo's members.

    Each is scored on its own data set, by `names` [networks]; NaN where that isn't among `data`.
    """
    figures = ("train_score", "train_loss", "validation_score", "validation_loss")
    facts = {figure: np.full(len(rows), np.nan, dtype=np.float32) for figure in figures}
    for name, splits in data.items():
        if len(index := np.flatnonzero(names == name)):
            members = rows[torch.from_numpy(index).to(rows.device)].to(device)
            for split, examples in zip(("train", "validation"), splits, strict=True):
                values = scores_and_losses(module, members, examples, device)
                facts[f"{split}_score"][index], facts[f"{split}_loss"][index] = values
    return facts
