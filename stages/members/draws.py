"""Where the randomness of a network's training comes from: seeds by purpose, and the order of its examples."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.seeds import generator


@dataclass(frozen=True)
class Seeds:
    """What every draw of a training depends on, beside its purpose, the network's number and the epoch."""

    seed: int
    attempt: int = 0

    def of(self, purpose: str, network: int, *epoch: int) -> tuple[int | str, ...]:
        """The parts of one seed."""
        return (self.seed, purpose, network, self.attempt, *epoch)

    def draw(self, purpose: str, network: int, *epoch: int) -> torch.Generator:
        """A generator from that seed."""
        return generator(*self.of(purpose, network, *epoch))


def orders(seeds: Seeds, batch: int, networks: np.ndarray, epoch: int, examples: int) -> tuple[Tensor, ...]:
    """Example positions [networks, batch] of every step of an epoch: each network's own shuffle."""
    draws = [seeds.draw("order", i, epoch) for i in networks.tolist()]
    shuffled = torch.stack([torch.randperm(examples, generator=draw) for draw in draws])
    return shuffled.split(batch, dim=1)
