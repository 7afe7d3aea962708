"""Stage 1: train many networks of one architecture, each from its own seed, or take in those there are."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.artifacts.members import described
from stages.context import Context, torch_threads
from stages.datasets import Train, Validation, load_fitting
from stages.errors import Diverged
from stages.members.alike import check_alike
from stages.members.loop import train_members
from stages.members.scoring import check_shapes, fitness
from stages.members.shards import Shard, cut
from stages.members.sources import checkpoints as imported
from stages.members.task import score_name
from stages.nets.registry import build
from stages.params.imported import ImportedZoo
from stages.params.zoo import ZooParams
from stages.progress import part_of
from stages.store.arrays import is_complete
from stages.store.layout import Layout
from stages.store.weights import Weights, write_weights


def shards(params: ZooParams | ImportedZoo) -> list[Shard]:
    """The zoo's members, held-out ones last, cut into shards."""
    if isinstance(params, ImportedZoo):
        return imported.shards(params)
    return cut(params.members + params.heldout, params.shard_size)


def zoo(params: ZooParams | ImportedZoo, ctx: Context) -> dict[str, Any]:
    """Train or import the members whose shards aren't there yet, and sum the zoo up.

    Raises DataMissing, UsageError where network and data don't suit each other, Diverged naming the member that no fallback seed could train, or what `imported` raises.
    """
    if isinstance(params, ImportedZoo):
        return imported.import_zoo(params, ctx)
    parts = shards(params)
    for shard in parts:
        train_shard(params, shard, ctx)
    stores = [Weights(shard.path(ctx.out)) for shard in parts]
    score = np.concatenate([store.facts("validation_score") for store in stores])
    name = f"validation_{stores[0].attrs['score']}"
    return {
        "networks": len(score),
        "parameters": stores[0].layout.drawn.parameters,
        name: float(score.mean()),
        f"{name}_std": float(score.std()),
        "retrained": int(sum((store.facts("attempt") > 0).sum() for store in stores)),
    }


def train_shard(params: ZooParams | ImportedZoo, shard: Shard, ctx: Context) -> bool:
    """Train (or import) and store one shard; False if it was there already. Shards may run side by side."""
    if isinstance(params, ImportedZoo):
        return imported.import_shard(params, shard, ctx)
    path = shard.path(ctx.out)
    if is_complete(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    module = build(params.network)
    data = _data(module, params, ctx)
    members = np.arange(shard.start, shard.stop)
    with torch_threads(ctx.threads):
        parts = []
        for k, name in enumerate(data):
            if len(own := members[members % len(data) == k]):
                told = replace(ctx, progress=part_of(ctx.progress, k, len(data)))
                parts.append(_trained(module, params, own, name, data[name], told))
    rows, facts = _in_order(parts)
    attrs = {"network": params.network.model_dump(mode="json"), **described(params.datasets)}
    attrs |= {"stage": "zoo", "score": score_name(next(iter(data.values()))[0].targets)}
    write_weights(path, Layout.of_module(module), shard.names, rows.cpu(), facts, attrs)
    return True


Data = tuple[Train, Validation]
Part = tuple[Tensor, dict[str, np.ndarray]]
"""Rows [members, parameters], and what is stored about each member."""


def _data(module: nn.Module, params: ZooParams, ctx: Context) -> dict[str, Data]:
    """All data sets by name, each one that the network takes."""
    data = {name: load_fitting(dataset, ctx.data_root) for name, dataset in params.datasets.items()}
    (first, (home, _)), *_ = data.items()
    for name, (train, _) in data.items():
        check_alike((first, home), (name, train))
        check_shapes(module, train, name)
    return data


def _trained(module: nn.Module, params: ZooParams, members: np.ndarray, name: str, data: Data, ctx: Context) -> Part:
    """Members of one data set."""
    train, validation = data
    rows, attempt = _train_with_fallbacks(module, params, members, train, ctx)
    kinds = [params.initialisation(i) for i in members.tolist()]
    return rows, {
        "seed": members,
        "attempt": attempt,
        "split": np.where(members < params.members, "train", "held-out").astype(object),
        "initialisation": np.array(kinds, dtype=object),
        "dataset": np.full(len(members), name, dtype=object),
        **fitness(module, rows, train, validation, ctx.device),
    }


def _in_order(parts: list[Part]) -> Part:
    """All data sets' members by number."""
    order = np.argsort(np.concatenate([facts["seed"] for _, facts in parts]))
    facts = {name: np.concatenate([facts[name] for _, facts in parts])[order] for name in parts[0][1]}
    return torch.cat([rows for rows, _ in parts])[torch.from_numpy(order)], facts


def _train_with_fallbacks(
    module: nn.Module, params: ZooParams, members: np.ndarray, train: Train, ctx: Context
) -> tuple[Tensor, np.ndarray]:
    """Train all members; retrain those that diverged from the seed (seed, member, attempt + 1).

    Returns their rows and, per member, which fallback seed they came from (0: its own).
    """
    attempt = np.zeros(len(members), dtype=np.int64)
    rows = train_members(module, params, members, 0, train, ctx)
    for again in range(1, params.max_retries + 1):
        bad = _diverged(rows)
        if len(bad):
            attempt[bad] = again
            rows[bad] = train_members(module, params, members[bad], again, train, ctx)
    if len(bad := _diverged(rows)):
        raise Diverged(
            f"zoo: member-{members[bad[0]]:05d} left the finite numbers from its own seed and {params.max_retries} "
            "fallback seeds; lower zoo.recipe.lr"
        )
    return rows, attempt


def _diverged(rows: Tensor) -> np.ndarray:
    return (~torch.isfinite(rows)).any(1).nonzero().flatten().cpu().numpy()
