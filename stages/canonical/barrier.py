"""How far apart two networks' basins are: the loss between them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.datasets import Train, Validation
from stages.nets.normalisation import reestimate
from stages.nets.stacked import outputs
from stages.store.layout import Layout

BATCH = 250
"""Examples per batch when BatchNorm's statistics are measured."""


def barriers(
    module: nn.Module,
    layout: Layout,
    rows: Float[Tensor, "networks parameters"],
    reference: Float[Tensor, " parameters"],
    train: Train,
    validation: Validation,
) -> Float[Tensor, " networks"]:
    """Loss at the midpoint of each network and the reference, less the mean of the losses at both ends.

    Every network, midpoints too, measures its BatchNorm statistics on the training inputs given; the loss is on the
    validation examples. Source: linear mode connectivity as in Git Re-Basin, arXiv 2209.04836, definition 2.1.
    """
    middles = (rows + reference) / 2
    a, b, c = (losses(module, layout, r, train, validation) for r in (rows, reference[None], middles))
    return c - (a + b) / 2


def losses(
    module: nn.Module, layout: Layout, rows: Float[Tensor, "networks parameters"], train: Train, validation: Validation
) -> Float[Tensor, " networks"]:
    """Mean cross-entropy, or mean squared error where targets are numbers."""
    drawn = rows[:, : layout.drawn.parameters]
    statistics = reestimate(module, layout.drawn, drawn, train.inputs, BATCH)
    found = outputs(module, layout.drawn, drawn, validation.inputs, statistics)
    return torch.stack([_loss(one, validation.targets) for one in found])


def _loss(found: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(found, targets) if targets.is_floating_point() else F.cross_entropy(found, targets)
