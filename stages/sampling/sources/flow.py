"""Networks drawn from the fitted flow: noise integrated to rows of weights, completed, and selected."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.fitted import Fitted, read_fitted
from stages.context import Context
from stages.flow.conditions import guided, network_calls
from stages.flow.coupling import couple
from stages.flow.ode import SOLVERS, Velocity, integrate
from stages.flow.path import noise
from stages.params.sample import SampleParams
from stages.sampling.completion import Completion
from stages.sampling.selection import Selection, selection_of
from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.refs import Ref
from stages.store.weights import Weights, is_train

BATCH = 256
"""Networks carried together."""


def open_networks(
    params: SampleParams, packed: Weights, fitted: Ref | None, complete: Completion, ctx: Context
) -> "FlowNetworks":
    """The networks that a flow makes of its source noise, or of members mixed with it.

    Raises UsageError where `params.condition` is nothing that the flow is conditioned on, or `params.keep_fraction`
    needs data and the zoo has none.
    """
    assert fitted is not None, "the dag fits a flow where networks are drawn from one"
    flow = read_fitted(fitted.path)
    flow.velocity.to(ctx.device)
    velocity = flow.velocity
    condition = flow.conditions.encode({name: np.array([value]) for name, value in params.condition.items()})[0]
    if params.condition:
        velocity = guided(flow.velocity, condition.to(ctx.device), params.guidance)
    selection = selection_of(packed, params.keep_fraction, ctx, params.condition)
    return FlowNetworks(params, packed, flow, velocity, complete, selection, ctx)


@dataclass(frozen=True)
class FlowNetworks:
    """Networks drawn from a flow: network i depends on the seed and i alone, or, where a fraction of the draws is kept,
    on the draws of its batch.
    """

    params: SampleParams
    packed: Weights
    flow: Fitted
    velocity: Velocity
    complete: Completion
    selection: Selection
    ctx: Context
    batch: int = BATCH

    def __len__(self) -> int:
        return self.params.networks

    @property
    def attrs(self) -> dict[str, Any]:
        """Whether the flow lives on rows in canonical form."""
        return {"canonical": self.flow.space.canonical}

    @property
    def facts(self) -> dict[str, np.ndarray]:
        """The number that a network's noise is seeded with."""
        return {"seed": np.arange(len(self))}

    @property
    def summary(self) -> dict[str, Any]:
        """What a network costs."""
        evaluations = network_calls(len(self.params.condition), self.params.guidance)
        return {"velocity_calls": self.params.steps * SOLVERS[self.params.method].calls * evaluations}

    def rows(self, start: int, stop: int) -> Tensor:
        """Networks `start` to `stop`, complete."""
        draws, params = self.selection.candidates(start, stop), self.params
        batches = (self._initial(draws[a:b]).to(self.ctx.device) for a, b in spans(len(draws), BATCH))
        points = [integrate(self.velocity, x, params.method, params.steps, params.start_time).cpu() for x in batches]
        rows = self.complete.rows(self.flow.space.decode(torch.cat(points), self.packed))
        return self.selection.select(self.complete.module, rows, stop - start, self.ctx.device)

    def _initial(self, draws: range) -> Tensor:
        """The points at which draws begin: source noise, or mixtures of it and training members at `start_time`."""
        flow, params = self.flow, self.params
        noises = [noise(flow.source_law, flow.dim, generator=generator(params.seed, "sample", i)) for i in draws]
        x0 = torch.stack(noises) * flow.source_std * params.temperature
        if not params.start_time:
            return x0
        train = np.flatnonzero(is_train(self.packed).numpy())
        members = [torch.randint(len(train), (1,), generator=generator(params.seed, "start", i)) for i in draws]
        x1 = flow.space.encode(self.packed, train[torch.cat(members).numpy()])
        return torch.lerp(couple(flow.coupling, x0, x1, flow.space), x1, params.start_time)
