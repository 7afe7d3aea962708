"""How members do on the data that a zoo may see, and whether a network suits the data at all."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.datasets import Train, Validation
from stages.errors import UsageError
from stages.members.task import appraise
from stages.nets.stacked import outputs
from stages.store.layout import Layout

REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError)
"""What networks raise at inputs of another shape, or at tokens beyond their vocabulary."""


@torch.no_grad()
def check_shapes(module: nn.Module, train: Train, data: str) -> None:
    """Raise UsageError unless the network takes these inputs and gives what the targets ask for; `data` names them."""
    try:
        found = tuple(module.eval()(train.inputs[:2]).shape)
    except REFUSALS as error:
        shape = tuple(train.inputs.shape[1:])
        raise UsageError(f"zoo.network doesn't take {data}'s inputs of shape {shape}: {error}") from error
    classes = 0 if train.targets.is_floating_point() else int(train.targets.max()) + 1
    if not classes:
        if found != (2,):
            raise UsageError(f"zoo.network gives outputs {found[1:]} per example, but {data} has one number to predict")
    elif len(found) != 2 or found[1] < classes:
        raise UsageError(f"zoo.network has {found[-1]} outputs, but {data} has {classes} classes")


def fitness(
    module: nn.Module,
    rows: Float[Tensor, "networks parameters"],
    train: Train,
    validation: Validation,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Score and mean loss of every member, on what members fit and on what they don't."""
    fit_score, fit_loss = appraised(module, rows, train, device)
    score, loss = appraised(module, rows, validation, device)
    return {"train_score": fit_score, "train_loss": fit_loss, "validation_score": score, "validation_loss": loss}


def appraised(module: nn.Module, rows: Tensor, data: Train | Validation, device: torch.device) -> list[np.ndarray]:
    """Scores and mean losses, [networks] each, of complete networks given as rows."""
    layout, splits = Layout.of_module(module), zip(data.inputs.split(10_000), data.targets.split(10_000), strict=True)
    parts = ((outputs(module, layout, rows, inputs.to(device)).cpu(), targets) for inputs, targets in splits)
    return [figure.numpy() for figure in appraise(parts)]


def unknown(networks: int) -> dict[str, np.ndarray]:
    """The same figures where there is no data: NaN."""
    names = ("train_score", "train_loss", "validation_score", "validation_loss")
    return {name: np.full(networks, np.nan, dtype=np.float32) for name in names}
