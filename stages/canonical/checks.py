"""Checks of networks in canonical form: outputs kept, distances between pairs, loss barriers to the reference."""

import copy
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.datasets import Train, Validation
from stages.nets.normalisation import reestimate
from stages.nets.spectral_norm import with_singular_vectors
from stages.nets.stacked import NOTHING, outputs
from stages.precision import DoublePrecision
from stages.store.layout import Layout
from stages.symmetry.element import Element
from stages.symmetry.table import Symmetry

BATCH = 250
"""Examples per batch when BatchNorm's statistics are measured."""
Rows = Float[Tensor, "networks parameters"]


def output_gaps(
    module: nn.Module, layout: Layout, original: Rows, moved: Rows, probe: Tensor
) -> Float[Tensor, " networks"]:
    """The largest change of each network's outputs, relative to its largest output, in double precision.

    Outputs that were not defined or infinite, and still are, have not changed.
    """
    double = copy.deepcopy(module).double()
    inputs = probe.double() if probe.is_floating_point() else probe
    with DoublePrecision():
        before, after = (outputs(double, layout, rows.double(), inputs) for rows in (original, moved))
    same = (before == after) | (before.isnan() & after.isnan())
    change = torch.where(same, 0.0, (before - after).abs()).nan_to_num(torch.inf, torch.inf)
    largest = torch.where(before.isfinite(), before.abs(), 0.0).flatten(1).amax(1)
    return change.flatten(1).amax(1) / largest.clamp_min(1e-12)


def with_constants(layout: Layout, rows: Rows, constants: Mapping[str, Tensor]) -> Rows:
    """Rows with these buffers [...] by name, the same in every network."""
    if not constants:
        return rows
    stacked = {name: value.expand(len(rows), *value.shape) for name, value in constants.items()}
    return layout.flatten(layout.unflatten(rows) | stacked)


def culprit(
    module: nn.Module,
    layout: Layout,
    row: Float[Tensor, " parameters"],
    symmetry: Symmetry,
    element: Element,
    probe: Tensor,
    tolerance: float,
    constants: Mapping[str, Tensor] = NOTHING,
) -> str:
    """The first group that changes the outputs when it alone is moved, with its tensors; else the rescaling.

    `constants` are buffers that stay as they are, whatever moves.
    """
    for name, group in symmetry.groups.items():
        moved = layout.flatten(element.only(name).act(symmetry, layout.unflatten(row)))[None]
        if output_gaps(module, layout, row[None], with_constants(layout, moved, constants), probe).item() > tolerance:
            tensors = dict.fromkeys(f"{a.tensor} axis {a.axis}" for a in group.axes)
            return f"group {name!r} (" + ", ".join(tensors) + ")"
    return "the rescaling"


class Spread:
    """The root mean square distance between pairs of rows, from running sums."""

    def __init__(self) -> None:
        """Start with no rows."""
        self.count, self.squares, self.total = 0, 0.0, torch.zeros((), dtype=torch.float64)

    def add(self, rows: Rows) -> None:
        """Count these rows in."""
        self.count += len(rows)
        self.total = self.total + rows.double().sum(0)
        self.squares += float(rows.double().square().sum())

    @property
    def distance(self) -> float:
        """Over all pairs so far; 0 for fewer than two rows."""
        variance = self.squares / max(self.count, 1) - float((self.total / max(self.count, 1)).square().sum())
        return (2 * max(variance, 0.0) * self.count / max(self.count - 1, 1)) ** 0.5


def barriers(
    module: nn.Module,
    layout: Layout,
    rows: Rows,
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
    module: nn.Module, layout: Layout, rows: Rows, train: Train, validation: Validation
) -> Float[Tensor, " networks"]:
    """Mean cross-entropy, or mean squared error where targets are numbers."""
    drawn, targets = rows[:, : layout.parameter_layout.size], validation.targets
    buffers = with_singular_vectors(module, layout.parameter_layout.unflatten(drawn))
    buffers |= reestimate(module, layout.parameter_layout, drawn, train.inputs, BATCH, buffers)
    predictions = outputs(module, layout.parameter_layout, drawn, validation.inputs, buffers)
    loss = F.mse_loss if targets.is_floating_point() else F.cross_entropy
    return torch.stack([loss(predicted, targets) for predicted in predictions])
