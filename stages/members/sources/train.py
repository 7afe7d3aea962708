"""Members that are trained here, each from its own seed, and from fallback seeds if training diverges."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context
from stages.datasets import Train, Validation
from stages.errors import Diverged, UsageError
from stages.members import own_training
from stages.members.data import Data
from stages.members.loop import train_members
from stages.members.shards import Shard, cut
from stages.members.sources import Members
from stages.params.zoo import RecipeFactory, ZooParams
from stages.progress import part_of
from stages.store.layout import Layout
from stages.store.weights import Shards


def shards(params: ZooParams) -> list[Shard]:
    """The members, held-out ones last, cut into shards."""
    return cut(params.members + params.heldout, params.shard_size)


def make(params: ZooParams, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
    """Train the members of one shard, those of each data set together.

    Raises Diverged naming the member that no fallback seed could train, UsageError if two came out alike.
    """
    members = np.arange(shard.start, shard.stop)
    attempts, turns = np.zeros(len(members), dtype=np.int64), members % len(data)
    rows = torch.empty(len(members), Layout.of_module(module).size, device=ctx.device)
    for turn, splits in enumerate(data.values()):
        if len(index := np.flatnonzero(turns == turn)):
            share = replace(ctx, progress=part_of(ctx.progress, turn, len(data)))
            trained, attempts[index] = _train_with_fallbacks(module, params, members[index], splits, share)
            rows[torch.from_numpy(index)] = trained
    _check_different(params, zip((row.tobytes() for row in rows.cpu().add(0.0).numpy()), shard.names, strict=True))
    initialisations = [params.initialisation(i) for i in members.tolist()]
    return rows, {
        "seed": members,
        "attempt": attempts,
        "split": np.where(members < params.members, "train", "held-out").astype(object),
        "initialisation": np.array(initialisations, dtype=object),
        "dataset": np.array(list(data), dtype=object)[turns],
    }


def summarize(params: ZooParams, zoo: Shards) -> dict[str, Any]:
    """How many members were trained from a fallback seed. Raises UsageError if two came out as the same network."""
    _check_different(params, zip(map(bytes, zoo.facts("sha256")), zoo.names, strict=True))
    return {"retrained": int((zoo.facts("attempt") > 0).sum())}


def _train_with_fallbacks(
    module: nn.Module, params: ZooParams, members: np.ndarray, splits: tuple[Train, Validation], ctx: Context
) -> tuple[Tensor, np.ndarray]:
    """Train all members; retrain those that diverged from the seed (seed, member, attempt + 1).

    Returns their rows and, per member, the number of its fallback seed (0: its own).
    """
    attempts, layout = np.zeros(len(members), dtype=np.int64), Layout.of_module(module)
    rows = _train(module, params, members, 0, splits, ctx)
    for attempt in range(1, params.max_retries + 1):
        if len(diverged := _diverged(rows, layout)):
            attempts[diverged] = attempt
            rows[diverged] = _train(module, params, members[diverged], attempt, splits, ctx)
    if len(diverged := _diverged(rows, layout)):
        mend = "mend zoo.recipe.train" if isinstance(params.recipe, RecipeFactory) else "lower zoo.recipe.lr"
        raise Diverged(
            f"zoo: member-{members[diverged[0]]:05d} diverged (weights or squares of them not finite) from its "
            f"own seed and {params.max_retries} fallback seeds; {mend}"
        )
    return rows, attempts


def _check_different(params: ZooParams, contents: Iterable[tuple[bytes, str]]) -> None:
    """Raise UsageError if two members are the same network: one could be held out, the other learned from."""
    seen: dict[bytes, str] = {}
    for content, name in contents:
        if (first := seen.setdefault(content, name)) != name:
            mend = "lower zoo.recipe.lr or weight_decay"
            if isinstance(params.recipe, RecipeFactory):
                mend = f"zoo.recipe.train ({params.recipe.train}) must train what it is given, or draw from its seed"
            raise UsageError(f"zoo: {first} and {name} came out of training as the same network; {mend}")


def _train(
    module: nn.Module,
    params: ZooParams,
    members: np.ndarray,
    attempt: int,
    splits: tuple[Train, Validation],
    ctx: Context,
) -> Tensor:
    """Rows of members trained by the recipe, or by the user's own function."""
    if isinstance(params.recipe, RecipeFactory):
        return own_training.train_members(module, params, params.recipe, members, attempt, splits, ctx)
    return train_members(module, params, members, attempt, splits[0], ctx)


def _diverged(rows: Tensor, layout: Layout) -> np.ndarray:
    """Positions of rows with values that aren't finite."""
    return (~layout.finite(rows)).nonzero().flatten().cpu().numpy()
