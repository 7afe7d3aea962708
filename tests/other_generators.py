"""Networks in files, as other generators leave them."""

from pathlib import Path

import torch

from stages.artifacts.export import whole_state
from stages.artifacts.members import network_of
from stages.nets.registry import build
from stages.store.weights import Shards


def save_networks(folder: Path, zoo: Shards, rows: torch.Tensor) -> str:
    """A file for each row of a zoo's layout; returns the pattern that matches them all."""
    folder.mkdir(parents=True, exist_ok=True)
    module = build(network_of(zoo))
    for i, row in enumerate(rows):
        torch.save(whole_state(module, zoo.layout.unflatten(row)), folder / f"{i:03d}.pt")
    return str(folder / "*.pt")
