"""Weights to look at: histograms per tensor, and what the first layer's units see."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor

BINS, FILTERS, KERNELS = 60, 8, 16
SMALLEST_IMAGE, SMALLEST_KERNEL = 8, 3
"""Sides below which there is nothing to see."""
Stacked = Mapping[str, Tensor]
"""Tensors of several networks by name, each [networks, *shape]."""


def pictures(members: Stacked, generated: Stacked, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """Everything that the report draws of the weights themselves; `input_shape` is one example's, () if unknown."""
    found: dict[str, Any] = {"histograms": histograms(members, generated)}
    if (seen := _first_layer(members, input_shape)) is not None:
        name, side, most = seen
        found["filters"] = {
            "side": side,
            "tensor": name,
            "members": filters(members[name], most),
            "generated": filters(generated[name], most),
        }
    return found


def histograms(members: Stacked, generated: Stacked) -> dict[str, dict[str, list[float]]]:
    """Densities of each tensor's values over bins that span the members' values."""
    found: dict[str, dict[str, list[float]]] = {"edges": {}, "members": {}, "generated": {}}
    for name, values in members.items():
        low, high = float(values.min()), float(values.max())
        edges = torch.linspace(low, high if high > low else low + 1, BINS + 1)
        found["edges"][name] = edges.tolist()
        for side, stacked in (("members", values), ("generated", generated[name])):
            counts = torch.histogram(stacked.flatten().float(), edges).hist
            found[side][name] = (counts / stacked.numel() / (edges[1] - edges[0])).tolist()
    return found


def filters(stacked: Tensor, most: int) -> list[list[float]]:
    """Incoming weights of the first network's first few units, [units, channels x side x side]."""
    return stacked[0, :most].flatten(1).tolist()


def _first_layer(members: Stacked, input_shape: tuple[int, ...]) -> tuple[str, int, int] | None:
    """The tensor whose units look at the image, the side of what each sees, and how many to show; None if there is none.

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
