"""Stage 5: draw complete new networks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.fitted import Fitted, read_fitted
from stages.artifacts.members import WEIGHTS, dataset_of, open_weights
from stages.context import Context, torch_threads
from stages.flow.conditions import guided, network_calls
from stages.flow.coupling import couple
from stages.flow.ode import SOLVERS, integrate
from stages.flow.path import noise
from stages.params.sample import SampleParams
from stages.sampling.completion import completion
from stages.sampling.selection import selection_of
from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.refs import Ref
from stages.store.weights import Weights, WeightsWriter, is_train

BATCH = 256
"""Networks carried together, the unit of resumption."""


def sample(packed: Ref, fitted: Ref, params: SampleParams, ctx: Context) -> dict[str, Any]:
    """Integrate noise to rows of weights, and complete them.

    Network i depends on the seed and i alone, or, where a fraction of the draws is kept, on the draws of its batch.
    Raises Diverged naming the network whose weights aren't finite, UsageError where `params.condition` is nothing that
    the flow is conditioned on or doesn't say of which of several data sets networks are wanted, or
    `params.keep_fraction` needs data and the zoo has none.
    """
    zoo, flow = open_weights(packed), read_fitted(fitted.path)
    names = [f"generated-{i:05d}" for i in range(params.networks)]
    flow.velocity.to(ctx.device)
    velocity = flow.velocity
    condition = flow.conditions.encode({name: np.array([value]) for name, value in params.condition.items()})[0]
    if params.condition:
        velocity = guided(flow.velocity, condition.to(ctx.device), params.guidance)
    dataset = dataset_of(zoo, params.condition)
    complete = completion(zoo, params.batchnorm, ctx, params.condition)
    selection = selection_of(zoo, params.keep_fraction, ctx, params.condition)
    attrs = {
        "network": zoo.attrs["network"],
        "dataset": dataset and dataset.model_dump(mode="json"),
        "stage": "sample",
        "canonical": flow.space.canonical,
        "batchnorm": params.batchnorm.model_dump(mode="json"),
        "keep_fraction": params.keep_fraction,
        "condition": params.condition,
    }
    writer = WeightsWriter(ctx.out / WEIGHTS, complete.layout, names, attrs)
    with torch_threads(ctx.threads):
        for start, stop in list(writer.missing(BATCH)):
            draws = selection.candidates(start, stop)
            batches = (_initial(zoo, flow, params, draws[a:b]).to(ctx.device) for a, b in spans(len(draws), BATCH))
            points = torch.cat(
                [integrate(velocity, x, params.method, params.steps, params.start_time).cpu() for x in batches]
            )
            rows = complete.rows(flow.space.decode(points, zoo))
            writer.write(start, selection.select(complete.module, rows, stop - start, ctx.device))
            ctx.progress(stop / params.networks, f"{stop} of {params.networks} networks")
    writer.finish({"seed": np.arange(params.networks)})
    calls = params.steps * SOLVERS[params.method].calls * network_calls(len(params.condition), params.guidance)
    return {"networks": params.networks, "velocity_calls": calls}


def _initial(zoo: Weights, flow: Fitted, params: SampleParams, draws: range) -> Tensor:
    """The points at which draws begin: source noise, or mixtures of it and training members at `start_time`."""
    noises = [noise(flow.source_law, flow.dim, generator=generator(params.seed, "sample", i)) for i in draws]
    x0 = torch.stack(noises) * flow.source_std * params.temperature
    if not params.start_time:
        return x0
    train = np.flatnonzero(is_train(zoo).numpy())
    members = [torch.randint(len(train), (1,), generator=generator(params.seed, "start", i)) for i in draws]
    x1 = flow.space.encode(zoo, train[torch.cat(members).numpy()])
    return torch.lerp(couple(flow.coupling, x0, x1, flow.space), x1, params.start_time)
