"""Batches of the flow's training: members, noise paired with them, times, and conditions."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.flow.coupling import couple
from stages.flow.path import PathSample, linear_path, noise
from stages.flow_training.data import FlowData
from stages.params.fit import Beta, FitParams
from stages.seeds import generator


class Batch(NamedTuple):
    """Points on paths, and conditions of the networks that they lead to (None: unconditional)."""

    path: PathSample
    condition: Float[Tensor, "batch conditions"] | None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        condition = None if self.condition is None else self.condition.to(device, non_blocking=True)
        return Batch(PathSample(*(tensor.to(device, non_blocking=True) for tensor in self.path)), condition)


@dataclass(frozen=True)
class Batches:
    """Batch number i depends on the seed and i alone, wherever a fit was resumed and whatever device it runs on."""

    data: FlowData
    params: FitParams
    source_std: float

    def draw(self, step: int) -> Batch:
        """Random training members, each with fresh source noise and its own time."""
        p, g = self.params, generator(self.params.seed, "batch", step)
        index = torch.randint(len(self.data), (p.batch,), generator=g)
        x1 = self.data.points(index)
        path_noise = p.path_noise_std * torch.randn(x1.shape, generator=g) if p.path_noise_std else None
        return Batch(self._path(x1, g, path_noise), self._condition(index, g))

    def heldout(self, repeats: int) -> Batch:
        """All held-out members, `repeats` times, always with the same noise at the same times; unconditional."""
        x1 = self.data.heldout.repeat(repeats, 1)
        return Batch(self._path(x1, generator(self.params.seed, "held-out")), None)

    def source(self, count: int, g: torch.Generator) -> Float[Tensor, "count dim"]:
        """Noise at t = 0."""
        return noise(self.params.source.law, count, self.data.dim, generator=g) * self.source_std

    def _path(self, x1: Tensor, g: torch.Generator, path_noise: Tensor | None = None) -> PathSample:
        x0 = couple(self.params.coupling, self.source(len(x1), g), x1, self.data.space)
        return linear_path(x0, x1, times(self.params, len(x1), g), path_noise)

    def _condition(self, index: Tensor, g: torch.Generator) -> Tensor | None:
        """The members' facts, all dropped now and then, so that the flow also learns to be unconditional (Ho and
        Salimans, arXiv 2207.12598); of several, each subset equally often, so that it learns every combination.
        """
        if not self.params.condition:
            return None
        dropout, widths = self.params.condition_dropout, torch.tensor(self.data.conditions.widths)
        keep = torch.rand(len(index), 1, generator=g) >= dropout
        if dropout and len(widths) > 1:
            keep = keep & (torch.rand(len(index), len(widths), generator=g) < 0.5).repeat_interleave(widths, dim=1)
        return self.data.condition(index) * keep


def times(params: FitParams, count: int, g: torch.Generator) -> Float[Tensor, " count"]:
    """A time in [0, 1] for every path."""
    if not isinstance(params.time, Beta):
        return torch.rand(count, generator=g)
    seed = int(torch.randint(2**62, (1,), generator=g))
    t = np.random.default_rng(seed).beta(params.time.alpha, params.time.beta, count)
    return torch.from_numpy(t).float()


def prefetched(draw: Callable[[int], Batch], start: int, stop: int) -> Iterator[Batch]:
    """Batches `start` to `stop`, each drawn by a worker thread while the one before it is used: matching noise and
    reading members stay off the critical path.
    """
    with ThreadPoolExecutor(1) as worker:
        pending: Future[Batch] | None = worker.submit(draw, start) if start < stop else None
        for following in range(start + 1, stop + 1):
            assert pending is not None
            batch = pending.result()
            pending = worker.submit(draw, following) if following < stop else None
            yield batch
