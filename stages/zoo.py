"""Stage 1: train many networks of one architecture on one task, each from its own seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context, torch_threads
from stages.datasets import Train, Validation, load_fitting
from stages.errors import Diverged, UsageError
from stages.nets.registry import build
from stages.nets.stacked import outputs
from stages.params.zoo import ZooParams
from stages.store.arrays import is_complete
from stages.store.layout import Layout
from stages.store.plan import spans
from stages.store.weights import Weights, write_weights
from stages.training.loop import train_members
from stages.training.task import appraise, score_name


@dataclass(frozen=True)
class Shard:
    """Consecutive members that are trained and stored together."""

    index: int
    start: int
    stop: int

    def path(self, folder: Path) -> Path:
        """Where its store lies within the zoo's folder."""
        return folder / "shards" / f"{self.index:04d}.zarr"


def shards(params: ZooParams) -> list[Shard]:
    """The zoo's members, held-out ones last, cut into shards."""
    return [Shard(i, a, b) for i, (a, b) in enumerate(spans(params.members + params.heldout, params.shard))]


def zoo(params: ZooParams, ctx: Context) -> dict[str, Any]:
    """Train the members whose shards aren't there yet, and sum the zoo up.

    Raises DataMissing, or Diverged naming the member that no fallback seed could train.
    """
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


def train_shard(params: ZooParams, shard: Shard, ctx: Context) -> bool:
    """Train and store one shard; False if it was there already. Shards may run side by side."""
    path = shard.path(ctx.out)
    if is_complete(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    train, validation = load_fitting(params.dataset, ctx.data_root)
    module = build(params.network)
    _check_shapes(module, params, train)
    with torch_threads(ctx.threads):
        trained = _train_with_fallbacks(module, params, shard, train, ctx)
        facts = _facts(module, params, shard, trained, train, validation, ctx.device)
    attrs = {name: getattr(params, name).model_dump(mode="json") for name in ("network", "dataset")}
    attrs |= {"stage": "zoo", "score": score_name(train.targets)}
    layout = Layout.of_module(module)
    write_weights(path, layout, member_names(shard), trained.rows.cpu(), facts, attrs)
    return True


def member_names(shard: Shard) -> list[str]:
    """Stable names, one per member."""
    return [f"member-{i:05d}" for i in range(shard.start, shard.stop)]


REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError)
"""What networks raise at inputs of another shape, or at tokens beyond their vocabulary."""


@torch.no_grad()
def _check_shapes(module: nn.Module, params: ZooParams, train: Train) -> None:
    data = params.dataset.name
    try:
        found = tuple(module.eval()(train.inputs[:2]).shape)
    except REFUSALS as error:
        shape = tuple(train.inputs.shape[1:])
        raise UsageError(f"zoo.network doesn't take {data}'s inputs of shape {shape}: {error}") from error
    classes = 0 if train.targets.is_floating_point() else int(train.targets.max()) + 1
    if not classes:
        if found != (2,):
            raise UsageError(f"zoo.network gives outputs {found[1:]} per example, but {data} has one number to predict")
    elif len(found) != 2 or found[1] < classes:
        raise UsageError(f"zoo.network has {found[-1]} outputs, but {data} has {classes} classes")


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
    fit_score, fit_loss = _appraise(module, trained.rows, train, device)
    score, loss = _appraise(module, trained.rows, validation, device)
    return {
        "seed": members,
        "attempt": trained.attempt,
        "split": np.where(members < params.members, "train", "held-out").astype(object),
        "initialisation": kinds[members % len(kinds)],
        "train_score": fit_score,
        "train_loss": fit_loss,
        "validation_score": score,
        "validation_loss": loss,
    }


def _appraise(module: nn.Module, rows: Tensor, data: Train | Validation, device: torch.device) -> list[np.ndarray]:
    """Score and mean loss of every member."""
    layout, splits = Layout.of_module(module), zip(data.inputs.split(10_000), data.targets.split(10_000), strict=True)
    parts = ((outputs(module, layout, rows, inputs.to(device)).cpu(), targets) for inputs, targets in splits)
    return [figure.numpy() for figure in appraise(parts)]
