"""Views of the weights themselves: histograms per tensor, and the first layer's weights as images."""

from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor

from stages.evaluation.figure_parts import Filters, Histograms

BINS, FILTERS, KERNELS = 60, 8, 16
"""Bins of a histogram; units shown of a dense first layer, and kernels of a convolution."""
SMALLEST_IMAGE, SMALLEST_KERNEL = 8, 3
"""Sides below which there is nothing to see."""
Stacked = Mapping[str, Tensor]
"""Tensors of several networks by name, each [networks, *shape]."""


def histograms(members: Stacked, generated: Stacked) -> Histograms:
    """Densities of each tensor's values over bins that span the members' values."""
    views = Histograms(edges={}, members={}, generated={})
    for name, values in members.items():
        low, high = float(values.min()), float(values.max())
        edges = torch.linspace(low, high if high > low else low + 1, BINS + 1)
        views.edges[name] = edges.tolist()
        for densities, stacked in ((views.members, values), (views.generated, generated[name])):
            counts = torch.histogram(stacked.flatten().float(), edges).hist
            densities[name] = (counts / stacked.numel() / (edges[1] - edges[0])).tolist()
    return views


def filters(members: Stacked, generated: Stacked, input_shape: tuple[int, ...]) -> Filters | None:
    """Incoming weights of the first network's first few units, where these look at an image; None where none do.

    `input_shape` is one example's, () if unknown.
    """
    layer = _first_layer(members, input_shape)
    if layer is None:
        return None
    name, side, most = layer
    units, others = (stacked[name][0, :most].flatten(1).tolist() for stacked in (members, generated))
    return Filters(side=side, tensor=name, members=units, generated=others)


def _first_layer(members: Stacked, input_shape: tuple[int, ...]) -> tuple[str, int, int] | None:
    """The tensor whose units look at the image, the side of what each sees, and how many to show; None if none does.

    The first convolution with square kernels, else the first dense layer if it takes every pixel.
    """
    for name, stacked in members.items():
        if stacked.ndim == 5 and stacked.shape[-1] == stacked.shape[-2] >= SMALLEST_KERNEL:
            return name, stacked.shape[-1], KERNELS
    side, size = _side(input_shape), torch.Size(input_shape).numel()
    name, first = next(((n, stacked) for n, stacked in members.items() if stacked.ndim == 3), ("", None))
    return None if side is None or first is None or first.shape[-1] != size else (name, side, FILTERS)


def _side(shape: tuple[int, ...]) -> int | None:
    """The side of a square image, of one channel if flattened; None for other inputs."""
    size = torch.Size(shape).numel()
    height, width = shape[1:] if len(shape) == 3 else (isqrt(size), isqrt(size))
    whole = len(shape) == 3 or height * width == size
    return width if whole and height == width and width >= SMALLEST_IMAGE else None
