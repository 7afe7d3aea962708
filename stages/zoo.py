"""Stage 1, the zoo: many networks of one architecture, trained here or read from checkpoints."""

from typing import Any

from stages.artifacts.members import datasets_of, described, runs_of
from stages.context import Context, torch_threads
from stages.datasets import check_test, describe_inputs, learned
from stages.members.data import load_data
from stages.members.scoring import fitting_scores
from stages.members.shards import Shard
from stages.members.sources import source_of
from stages.members.warnings import overlaps, suspicions
from stages.nets.registry import build, example_input
from stages.nets.requirements import check_network, check_reproducible
from stages.params.external import ExternalZoo
from stages.params.facts import OWN
from stages.params.zoo import Zoo
from stages.scores import chance, score_name
from stages.store.arrays import is_complete
from stages.store.layout import Layout
from stages.store.weights import Shards, write_weights


def shards(params: Zoo) -> list[Shard]:
    """The zoo's members, held-out ones last, cut into shards."""
    return source_of(params).shards(params)


def zoo(params: Zoo, ctx: Context) -> dict[str, Any]:
    """Make the shards that aren't there yet, and sum the zoo up.

    Raises DataMissing, UsageError if the network can't be worked with or doesn't fit the data, or what the source
    raises.
    """
    parts = shards(params)
    for shard in parts:
        make_shard(params, shard, ctx)
    members = Shards([shard.path(ctx.out) for shard in parts])
    summary: dict[str, Any] = {"networks": len(members), "parameters": members.layout.parameter_layout.size}
    if inputs := {name: describe_inputs(dataset) for name, dataset in datasets_of(members).items()}:
        summary["inputs"] = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    if (score := members.attrs["score"]) is not None:
        scores = members.facts("validation_score")
        summary |= {f"validation_{score}": float(scores.mean()), f"validation_{score}_std": float(scores.std())}
    lines = list(overlaps({name: check_test(dataset, ctx.data_root) for name, dataset in params.datasets.items()}))
    if isinstance(params, ExternalZoo):
        lines += suspicions(members, runs_of(members))
    if lines:
        summary["warnings"] = lines
    return summary | source_of(params).summarize(params, members)


def make_shard(params: Zoo, shard: Shard, ctx: Context) -> bool:
    """Make, score and store one shard; False if it was there already. Shards may be made side by side."""
    path = shard.path(ctx.out)
    if is_complete(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    module = build(params.network)
    if shard.start == 0:  # once is enough
        check_network(module, example_input(params.network), "zoo.network")
        if isinstance(params, ExternalZoo):
            check_reproducible(module, build(params.network, seed=1), "zoo.network")
        for dataset in params.datasets.values():
            check_test(dataset, ctx.data_root)
    data = load_data(params, module, ctx.data_root)
    datasets = {name: learned(dataset, ctx.data_root) for name, dataset in params.datasets.items()}
    with torch_threads(ctx.threads):
        rows, facts = source_of(params).make(params, shard, module, data, ctx)
        facts |= fitting_scores(module.to(ctx.device), rows, data, facts["dataset"], ctx.device)
    attrs = {"network": params.network.model_dump(mode="json"), **described(datasets), "stage": "zoo"}
    attrs["score"] = next((score_name(train.targets) for train, _ in data.values()), None)
    attrs["chance"] = next((chance(validation.targets) for _, validation in data.values()), None)
    if reported := [name for name in facts if name not in OWN]:
        attrs["facts"] = reported
    if isinstance(params, ExternalZoo) and params.group is not None:
        attrs["group"] = params.group
    write_weights(path, Layout.of_module(module), shard.names, rows.cpu(), facts, attrs)
    return True
