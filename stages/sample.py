"""Stage 5: draw complete new networks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.artifacts.fitted import Fitted, read_fitted
from stages.artifacts.members import WEIGHTS, dataset_of, is_train, open_weights
from stages.artifacts.spaces import leave, located
from stages.context import Context, torch_threads
from stages.flow.coupling import coupled
from stages.flow.guidance import calls as calls_each
from stages.flow.guidance import guided
from stages.flow.ode import CALLS, integrate
from stages.flow.source import noise
from stages.flow.spaces.tokens import Tokens
from stages.params.sample import SampleParams
from stages.sampling.completion import completion
from stages.sampling.selection import choice_of
from stages.seeds import generator
from stages.store.chunks import spans
from stages.store.refs import Ref
from stages.store.weights import Weights, WeightsWriter

BATCH = 256
"""Networks carried together, the unit of resumption."""


def sample(packed: Ref, fitted: Ref, params: SampleParams, ctx: Context) -> dict[str, Any]:
    """Integrate noise to rows of weights, and complete them; network i depends on the seed and
    i alone, or, where the best of several are kept, on those of its batch.

    Raises Diverged naming the network whose weights aren't finite, UsageError where `params.condition` is nothing that
    the flow was told or doesn't say of which of several data sets networks are wanted, or `params.keep_fraction` needs data and
    the zoo has none.
    """
    zoo, flow = open_weights(packed), read_fitted(fitted.path)
    names = [f"generated-{i:05d}" for i in range(params.networks)]
    flow.velocity.to(ctx.device)
    told = flow.conditions.encode({name: np.array([value]) for name, value in params.condition.items()})[0]
    velocity = guided(flow.velocity, told.to(ctx.device), params.guidance) if params.condition else flow.velocity
    dataset = dataset_of(zoo, params.condition)
    complete = completion(zoo, params.batchnorm, ctx, params.condition)
    choice = choice_of(zoo, params.keep_fraction, ctx, params.condition)
    attrs = {
        "network": zoo.attrs["network"],
        "dataset": dataset and dataset.model_dump(mode="json"),
        "stage": "sample",
        "canonical": not isinstance(flow.space, Tokens),
        "batchnorm": params.batchnorm.model_dump(mode="json"),
        "keep_fraction": params.keep_fraction,
        "condition": params.condition,
    }
    writer = WeightsWriter(ctx.out / WEIGHTS, complete.layout, names, attrs)
    with torch_threads(ctx.threads):
        for start, stop in list(writer.missing(BATCH)):
            drawn = choice.candidates(start, stop)
            parts = (_begin(zoo, flow, params, drawn[a:b]).to(ctx.device) for a, b in spans(len(drawn), BATCH))
            points = torch.cat(
                [integrate(velocity, x, params.method, params.steps, params.start_time).cpu() for x in parts]
            )
            rows = complete.rows(leave(points, flow.space, zoo))
            writer.write(start, choice.best(complete.module, rows, stop - start, ctx.device))
            ctx.progress(stop / params.networks, f"{stop} of {params.networks} networks")
    writer.finish({"seed": np.arange(params.networks)})
    calls = params.steps * CALLS[params.method] * calls_each(len(params.condition), params.guidance)
    return {"networks": params.networks, "velocity_calls": calls}


def _begin(zoo: Weights, flow: Fitted, params: SampleParams, numbers: range) -> Tensor:
    """Where draws begin: at noise, or on its way to training members."""
    x0 = _noise(flow, params, numbers)
    if not params.start_time:
        return x0
    train = np.flatnonzero(is_train(zoo).numpy())
    draws = [torch.randint(len(train), (1,), generator=generator(params.seed, "start", i)) for i in numbers]
    x1 = located(zoo, flow.space, train[torch.cat(draws).numpy()])
    return torch.lerp(coupled(flow.coupling, x0, x1, flow.space), x1, params.start_time)


def _noise(flow: Fitted, params: SampleParams, numbers: range) -> Tensor:
    """Source noise, one generator per draw."""
    law = flow.source_law
    draws = [noise(law, flow.dim, generator=generator(params.seed, "sample", i)) for i in numbers]
    return torch.stack(draws) * flow.source_std * params.temperature
