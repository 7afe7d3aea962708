"""Stage 1: train many networks of one architecture on one task, each from its own seed, or take in those there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context, torch_threads
from stages.datasets import Train, Validation, load_fitting
from stages.errors import Diverged
from stages.members import imported
from stages.members.fitness import check_shapes, fitness
from stages.members.shard import Shard, cut
from stages.nets.registry import build
from stages.params.imported import ImportedZoo
from stages.params.zoo import ZooParams
from stages.store.arrays import is_complete
from stages.store.layout import Layout
from stages.store.weights import Weights, write_weights
from stages.training.loop import train_members
from stages.training.task import score_name


def shards(params: ZooParams | ImportedZoo) -> list[Shard]:
    """The zoo's members, held-out ones last, cut into shards."""
    if isinstance(params, ImportedZoo):
        return imported.shards(params)
    return cut(params.members + params.heldout, params.shard)


def zoo(params: ZooParams | ImportedZoo, ctx: Context) -> dict[str, Any]:
    """Train or import the members whose shards aren't there yet, and sum the zoo up.

    Raises DataMissing, Diverged naming the member that no fallback seed could train, or what `imported` raises.
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
    train, validation = load_fitting(params.dataset, ctx.data_root)
    module = build(params.network)
    check_shapes(module, train, params.dataset.name)
    with torch_threads(ctx.threads):
        trained = _train_with_fallbacks(module, params, shard, train, ctx)
        facts = _facts(module, params, shard, trained, train, validation, ctx.device)
    attrs = {name: getattr(params, name).model_dump(mode="json") for name in ("network", "dataset")}
    attrs |= {"stage": "zoo", "score": score_name(train.targets)}
    layout = Layout.of_module(module)
    write_weights(path, layout, shard.names, trained.rows.cpu(), facts, attrs)
    return True


@dataclass(frozen=True)
class Trained:
    """Rows [members, parameters] and, per member, which fallback seed they came from (0: its own)."""

    rows: Tensor
    attempt: np.ndarray


def _train_with_fallbacks(module: nn.Module, params: ZooParams, shard: Shard, train: Train, ctx: Context) -> Trained:
    """Train all members; retrain those that diverged from the seed (seed, member, attempt + 1)."""
    members = np.arange(shard.start, shard.stop)
    attempt = np.zeros(len(members), dtype=np.int64)
    rows = train_members(module, params, members, 0, train, ctx)
    for again in range(1, params.retries + 1):
        bad = _diverged(rows)
        if len(bad):
            attempt[bad] = again
            rows[bad] = train_members(module, params, members[bad], again, train, ctx)
    if len(bad := _diverged(rows)):
        raise Diverged(
            f"zoo: member-{members[bad[0]]:05d} left the finite numbers from its own seed and {params.retries} "
            "fallback seeds; lower zoo.recipe.lr"
        )
    return Trained(rows, attempt)


def _diverged(rows: Tensor) -> np.ndarray:
    return (~torch.isfinite(rows)).any(1).nonzero().flatten().cpu().numpy()


def _facts(module: nn.Module, params: ZooParams, shard: Shard, trained: Trained, train: Train,
           validation: Validation, device: torch.device) -> Mapping[str, np.ndarray]:  # fmt: skip
    """What is stored about each member."""
    members = np.arange(shard.start, shard.stop)
    kinds = np.array(params.initialisations, dtype=object)
    return {
        "seed": members,
        "attempt": trained.attempt,
        "split": np.where(members < params.members, "train", "held-out").astype(object),
        "initialisation": kinds[members % len(kinds)],
        **fitness(module, trained.rows, train, validation, device),
    }
