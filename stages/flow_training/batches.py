"""What one training step sees: members, noise that goes with them, times, and what is known of the members."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.flow.coupling import coupled
from stages.flow.path import PathSample, linear_path
from stages.flow.source import noise
from stages.flow_training.data import Points
from stages.params.fit import Beta, FitParams
from stages.seeds import generator


class Batch(NamedTuple):
    """Points on paths, and what the velocity network is told of the networks that they lead to (None: nothing, ever)."""

    path: PathSample
    condition: Float[Tensor, "batch conditions"] | None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        told = None if self.condition is None else self.condition.to(device, non_blocking=True)
        return Batch(PathSample(*(part.to(device, non_blocking=True) for part in self.path)), told)


@dataclass(frozen=True)
class Batches:
    """Batch number i depends on the seed and i alone, wherever a fit was resumed and whatever device it runs on."""

    points: Points
    params: FitParams
    source_std: float

    def draw(self, step: int) -> Batch:
        """Random training members, each with fresh source noise and its own time."""
        p, g = self.params, generator(self.params.seed, "batch", step)
        index = torch.randint(len(self.points), (p.batch,), generator=g)
        x1 = self.points.take(index)
        beside = p.path_noise_std * torch.randn(x1.shape, generator=g) if p.path_noise_std else None
        return Batch(self._path(x1, g, beside), self._told(index, g))

    def heldout(self, repeats: int) -> Batch:
        """All held-out members so many times over, always with the same noise at the same times; nothing told."""
        x1 = self.points.heldout.repeat(repeats, 1)
        return Batch(self._path(x1, generator(self.params.seed, "held-out")), None)

    def source(self, count: int, g: torch.Generator) -> Float[Tensor, "count dim"]:
        """Noise at t = 0."""
        return noise(self.params.source.law, count, self.points.dim, generator=g) * self.source_std

    def _path(self, x1: Tensor, g: torch.Generator, beside: Tensor | None = None) -> PathSample:
        x0 = coupled(self.params.coupling, self.source(len(x1), g), x1, self.points.space)
        return linear_path(x0, x1, times(self.params, len(x1), g), beside)

    def _told(self, index: Tensor, g: torch.Generator) -> Tensor | None:
        """The members' facts, all left out now and then, so that the flow also learns to go without (Ho and Salimans,
        arXiv 2207.12598); of several, any choice as often as any other, so that it learns to go by some.
        """
        if not self.params.condition:
            return None
        dropout, widths = self.params.condition_dropout, torch.tensor(self.points.conditions.widths)
        told = torch.rand(len(index), 1, generator=g) >= dropout
        if dropout and len(widths) > 1:
            told = told & (torch.rand(len(index), len(widths), generator=g) < 0.5).repeat_interleave(widths, dim=1)
        return self.points.known(index) * told


def times(params: FitParams, count: int, g: torch.Generator) -> Float[Tensor, " count"]:
    """A time in [0, 1] for every path."""
    if not isinstance(params.time, Beta):
        return torch.rand(count, generator=g)
    seed = int(torch.randint(2**62, (1,), generator=g))
    drawn = np.random.default_rng(seed).beta(params.time.alpha, params.time.beta, count)
    return torch.from_numpy(drawn).float()


def ahead(draw: Callable[[int], Batch], start: int, stop: int) -> Iterator[Batch]:
    """Batches `start` to `stop`, each drawn by a worker thread while the one before it is used: matching noise and
    reading members stay off the critical path.
    """
    with ThreadPoolExecutor(1) as worker:
        waiting: Future[Batch] | None = worker.submit(draw, start) if start < stop else None
        for following in range(start + 1, stop + 1):
            assert waiting is not None
            batch = waiting.result()
            waiting = worker.submit(draw, following) if following < stop else None
            yield batch
