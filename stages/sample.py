"""Stage 5: draw complete new networks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.complete import completion
from stages.artifacts.fitted import Fitted, read_fitted
from stages.artifacts.members import WEIGHTS, open_weights
from stages.artifacts.spaces import leave
from stages.context import Context, torch_threads
from stages.flow.ode import CALLS, integrate
from stages.flow.source import noise
from stages.params.sample import SampleParams
from stages.seeds import generator
from stages.store.refs import Ref
from stages.store.weights import WeightsWriter

BATCH = 256
"""Networks carried together, the unit of resumption."""


def sample(packed: Ref, fitted: Ref, params: SampleParams, ctx: Context) -> dict[str, Any]:
    """Integrate noise to rows of weights, and complete them; network i depends on the seed and i alone.

    Raises Diverged naming the network whose weights aren't finite.
    """
    zoo, flow = open_weights(packed), read_fitted(fitted.path)
    names = [f"generated-{i:05d}" for i in range(params.networks)]
    attrs = {name: zoo.attrs[name] for name in ("network", "dataset")} | {
        "stage": "sample", "batchnorm": params.batchnorm.model_dump(mode="json"),
    }  # fmt: skip
    complete = completion(zoo, params.batchnorm, ctx)
    writer = WeightsWriter(ctx.out / WEIGHTS, complete.layout, names, attrs)
    flow.velocity.to(ctx.device)
    with torch_threads(ctx.threads):
        for start, stop in list(writer.missing(BATCH)):
            points = integrate(
                flow.velocity, _noise(flow, params, start, stop).to(ctx.device), params.method, params.steps
            )
            writer.write(start, complete.rows(leave(points.cpu(), flow.space, zoo)))
            ctx.progress(stop / params.networks, f"{stop} of {params.networks} networks")
    writer.finish({"seed": np.arange(params.networks)})
    return {"networks": params.networks, "velocity_calls": params.steps * CALLS[params.method]}


def _noise(flow: Fitted, params: SampleParams, start: int, stop: int) -> Tensor:
    """Source noise, one generator per network."""
    law = flow.source_law
    draws = [noise(law, flow.dim, generator=generator(params.seed, "sample", i)) for i in range(start, stop)]
    return torch.stack(draws) * flow.source_std
