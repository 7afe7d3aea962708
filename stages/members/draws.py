"""Seeds of a network's training by purpose, and the order of its examples."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.seeds import generator


@dataclass(frozen=True)
class Seeds:
    """The seed of a training run and the number of its fallback seed; they enter every seed drawn from."""

    seed: int
    attempt: int = 0

    def of(self, purpose: str, network: int, *epoch: int) -> tuple[int | str, ...]:
        """The parts of the seed for one purpose, network and epoch."""
        return (self.seed, purpose, network, self.attempt, *epoch)

    def draw(self, purpose: str, network: int, *epoch: int) -> torch.Generator:
        """A generator with that seed."""
        return generator(*self.of(purpose, network, *epoch))


def orders(seeds: Seeds, batch: int, networks: np.ndarray, epoch: int, examples: int) -> tuple[Tensor, ...]:
    """Positions of the examples [networks, batch] of every step of an epoch, shuffled for each network by itself."""
    draws = [seeds.draw("order", i, epoch) for i in networks.tolist()]
    shuffled = torch.stack([torch.randperm(examples, generator=draw) for draw in draws])
    return shuffled.split(batch, dim=1)
