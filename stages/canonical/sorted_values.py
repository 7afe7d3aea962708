"""Tensors' sorted values: what no relabelling of units changes, for distances that need no alignment."""

import torch
from jaxtyping import Float
from torch import Tensor

from stages.store.layout import Layout
from stages.symmetry.table import Symmetry


def sorted_values(
    layout: Layout, symmetry: Symmetry, rows: Float[Tensor, "networks parameters"]
) -> Float[Tensor, "networks parameters"]:
    """Rows with each tensor's values in ascending order, without signs where units may change them.

    Nothing that a symmetry does to a network, but for scales, changes these.
    """
    flipping = {a.tensor for group in symmetry.groups.values() for a in group.axes if a.flips}
    tensors = zip(layout.slots, rows.split([slot.size for slot in layout.slots], dim=1), strict=True)
    return torch.cat([(t.abs() if slot.name in flipping else t).sort(1).values for slot, t in tensors], dim=1)
