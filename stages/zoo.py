"""Stage 1: train many networks of one architecture on one task, each from its own seed."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from stages.context import Context, torch_threads
from stages.datasets import Train, Validation, load_fitting
from stages.errors import Diverged, UsageError
from stages.nets.initialise import initialise
from stages.nets.registry import build
from stages.nets.stacked import forward, outputs
from stages.params.zoo import Recipe, ZooParams
from stages.seeds import generator
from stages.store.arrays import is_complete
from stages.store.layout import Layout
from stages.store.plan import spans
from stages.store.weights import Weights, write_weights


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
    accuracy = np.concatenate([store.facts("validation_accuracy") for store in stores])
    return {
        "networks": len(accuracy),
        "parameters": stores[0].layout.parameters,
        "validation_accuracy": float(accuracy.mean()),
        "validation_accuracy_std": float(accuracy.std()),
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
    attrs = {name: getattr(params, name).model_dump(mode="json") for name in ("network", "dataset")} | {"stage": "zoo"}
    layout = Layout.of(module.state_dict())
    write_weights(path, layout, member_names(shard), trained.rows.cpu(), facts, attrs)
    return True


def member_names(shard: Shard) -> list[str]:
    """Stable names, one per member."""
    return [f"member-{i:05d}" for i in range(shard.start, shard.stop)]


def _check_shapes(module: nn.Module, params: ZooParams, train: Train) -> None:
    try:
        classes = module(train.inputs[:1]).shape[-1]
    except RuntimeError as error:
        shape = tuple(train.inputs.shape[1:])
        raise UsageError(
            f"zoo.network doesn't take {params.dataset.name}'s inputs of shape {shape}: {error}"
        ) from error
    needed = int(train.targets.max()) + 1
    if classes < needed:
        raise UsageError(f"zoo.network has {classes} outputs, but {params.dataset.name} has {needed} classes")


@dataclass(frozen=True)
class Trained:
    """Rows [members, parameters] and, per member, which fallback seed they came from (0: its own)."""

    rows: Tensor
    attempt: np.ndarray


def _train_with_fallbacks(module: nn.Module, params: ZooParams, shard: Shard, train: Train, ctx: Context) -> Trained:
    """Train all members; retrain those that diverged from the seed (seed, member, attempt + 1)."""
    members = np.arange(shard.start, shard.stop)
    attempt = np.zeros(len(members), dtype=np.int64)
    rows = _train(module, params, members, 0, train, ctx)
    for again in range(1, params.retries + 1):
        bad = _diverged(rows)
        if len(bad):
            attempt[bad] = again
            rows[bad] = _train(module, params, members[bad], again, train, ctx)
    if len(bad := _diverged(rows)):
        raise Diverged(
            f"zoo: member-{members[bad[0]]:05d} left the finite numbers from its own seed and {params.retries} "
            "fallback seeds; lower zoo.recipe.lr"
        )
    return Trained(rows, attempt)


def _diverged(rows: Tensor) -> np.ndarray:
    return (~torch.isfinite(rows)).any(1).nonzero().flatten().cpu().numpy()


def _train(module: nn.Module, params: ZooParams, members: np.ndarray, attempt: int, train: Train,
           ctx: Context) -> Tensor:  # fmt: skip
    """Train members together, each from its own initialisation and in its own data order. Returns their rows."""
    module.train()
    stacked = _initial(module, params, members, attempt, ctx.device)
    optimizer = _optimizer(params.recipe, list(stacked.values()))
    inputs, targets = train.inputs.to(ctx.device), train.targets.to(ctx.device)
    steps = params.recipe.epochs * ceil(len(inputs) / params.recipe.batch)
    told = time.monotonic()
    for step, index in enumerate(_batches(params, members, attempt, len(inputs))):
        index = index.to(ctx.device)
        batch = inputs.flatten(1).index_select(0, index.flatten()).view(*index.shape, *inputs.shape[1:])
        logits = forward(module, stacked, batch, shared=False)
        loss = F.cross_entropy(logits.flatten(0, 1), targets[index.flatten()], reduction="sum") / index.shape[1]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # a sum over members: each one's gradient is its own
        optimizer.step()
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            note = f"members {members[0]}-{members[-1]}, step {step}/{steps}, loss {loss.item() / len(members):.3f}"
            ctx.progress(step / steps, note)
    return Layout.of(module.state_dict()).flatten({name: tensor.detach() for name, tensor in stacked.items()})


def _initial(module: nn.Module, params: ZooParams, members: np.ndarray, attempt: int,
             device: torch.device) -> dict[str, Tensor]:  # fmt: skip
    kinds = params.initialisations
    states = [
        initialise(module, kinds[i % len(kinds)], generator(params.seed, "member", i, attempt))
        for i in members.tolist()
    ]
    return {name: torch.stack([s[name] for s in states]).to(device).requires_grad_() for name in states[0]}


def _optimizer(recipe: Recipe, tensors: list[Tensor]) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(tensors, recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.SGD(tensors, recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def _batches(params: ZooParams, members: np.ndarray, attempt: int, examples: int) -> Iterator[Tensor]:
    """Example positions [members, batch] for every step: each member's own shuffle, epoch by epoch."""
    for epoch in range(params.recipe.epochs):
        orders = [
            torch.randperm(examples, generator=generator(params.seed, "order", i, attempt, epoch))
            for i in members.tolist()
        ]
        yield from torch.stack(orders).split(params.recipe.batch, dim=1)


def _facts(module: nn.Module, params: ZooParams, shard: Shard, trained: Trained, train: Train,
           validation: Validation, device: torch.device) -> Mapping[str, np.ndarray]:  # fmt: skip
    """What is stored about each member."""
    members = np.arange(shard.start, shard.stop)
    kinds = np.array(params.initialisations, dtype=object)
    fit_accuracy, fit_loss = _score(module, trained.rows, train, device)
    accuracy, loss = _score(module, trained.rows, validation, device)
    return {
        "seed": members,
        "attempt": trained.attempt,
        "split": np.where(members < params.members, "train", "held-out").astype(object),
        "initialisation": kinds[members % len(kinds)],
        "train_accuracy": fit_accuracy,
        "train_loss": fit_loss,
        "validation_accuracy": accuracy,
        "validation_loss": loss,
    }


def _score(module: nn.Module, rows: Tensor, data: Train | Validation, device: torch.device) -> tuple[np.ndarray, ...]:
    """Accuracy and mean cross-entropy of every member."""
    layout = Layout.of(module.state_dict())
    right = torch.zeros(len(rows))
    loss = torch.zeros(len(rows))
    for inputs, targets in zip(data.inputs.split(10_000), data.targets.split(10_000), strict=True):
        logits = outputs(module, layout, rows, inputs.to(device)).cpu()
        right += (logits.argmax(-1) == targets).sum(1)
        per_class = logits.log_softmax(-1)
        loss -= per_class.gather(-1, targets.expand(len(rows), -1).unsqueeze(-1)).sum((1, 2))
    return (right / len(data.targets)).numpy(), (loss / len(data.targets)).numpy()
