"""Weights to look at: histograms per tensor, and what the first layer's units see."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor

BINS, FILTERS = 60, 8
Stacked = Mapping[str, Tensor]
"""Tensors of several networks by name, each [networks, *shape]."""


def pictures(members: Stacked, generated: Stacked, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """Everything that the report draws of the weights themselves."""
    found: dict[str, Any] = {"histograms": histograms(members, generated)}
    if (side := _side(input_shape)) is not None:
        found["filters"] = {"side": side, "members": filters(members), "generated": filters(generated)}
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


def filters(networks: Stacked) -> list[list[float]]:
    """Incoming weights of the first network's first few units."""
    first = next(iter(networks.values()))[0]
    return first[:FILTERS].flatten(1).tolist()


def _side(shape: tuple[int, ...]) -> int | None:
    """The side of a one-channel square image, flattened or not; None for other inputs."""
    size = torch.Size(shape).numel()
    side = isqrt(size)
    return side if side * side == size and side >= 8 else None
