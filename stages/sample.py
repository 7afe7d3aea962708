"""Stage 5: complete new networks, drawn from the flow or read from another generator's files."""

from typing import Any

from stages.artifacts.members import WEIGHTS, dataset_of, open_weights
from stages.context import Context, torch_threads
from stages.params.network import BatchNorm
from stages.params.sample import Sample
from stages.sampling.completion import completion
from stages.sampling.sources import source_of
from stages.store.refs import Ref
from stages.store.weights import WeightsWriter


def sample(packed: Ref, fitted: Ref | None, params: Sample, ctx: Context) -> dict[str, Any]:
    """Complete networks, batch by batch: integrated from noise, or another generator's, for which no flow is fitted.

    Raises Diverged naming the network whose weights aren't finite, UsageError where `params.condition` doesn't say of
    which of several data sets networks are wanted, or what the source raises.
    """
    zoo = open_weights(packed)
    dataset = dataset_of(zoo, params.condition)
    batchnorm = params.batchnorm if isinstance(params.batchnorm, BatchNorm) else BatchNorm()
    complete = completion(zoo, batchnorm, ctx, params.condition)
    networks = source_of(params).open_networks(params, zoo, fitted, complete, ctx)
    attrs = {
        "network": zoo.attrs["network"],
        "dataset": dataset and dataset.model_dump(mode="json"),
        "stage": "sample",
        "batchnorm": batchnorm.model_dump(mode="json"),
        "keep_fraction": params.keep_fraction,
        "condition": params.condition,
        **networks.attrs,
    }
    names = [f"generated-{i:05d}" for i in range(len(networks))]
    writer = WeightsWriter(ctx.out / WEIGHTS, complete.layout, names, attrs)
    with torch_threads(ctx.threads):
        for start, stop in list(writer.missing(networks.batch)):
            writer.write(start, networks.rows(start, stop))
            ctx.progress(stop / len(networks), f"{stop} of {len(networks)} networks")
    writer.finish(networks.facts)
    return {"networks": len(networks), **networks.summary}
