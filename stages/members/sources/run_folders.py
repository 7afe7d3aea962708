"""Members that are training runs with a folder each, one checkpoint of every run."""

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import Any

from torch import nn

from stages.checkpoint_paths import content_of
from stages.context import Context
from stages.errors import Diverged
from stages.members.choice import choose, fulfilling
from stages.members.data import Data
from stages.members.external import unknown_facts
from stages.members.imported import Member, all_members, expected_by, matched
from stages.members.reading import check_rows_distinct, cut_by_size, notes_of, read_shard
from stages.members.run_facts import facts_of_run
from stages.members.shards import Shard
from stages.members.sources import Members
from stages.nets.registry import build
from stages.params.run_folders import RunFoldersZoo
from stages.store.weights import Shards


def shards(params: RunFoldersZoo) -> list[Shard]:
    """The members, held-out ones last, cut into shards.

    Raises UsageError if there are too few, or two with the same weights.
    """
    return cut_by_size(params, chosen_members(params))


def chosen_members(params: RunFoldersZoo) -> list[Member]:
    """The members, held-out ones last."""
    return choose(finite_members(params), params, f"{params.place} has, without what is left out,")


def finite_members(params: RunFoldersZoo) -> list[Member]:
    """The runs that `zoo.where` leaves and whose weights hold no NaN or Inf."""
    return _finite(params, tuple(map(content_of, params.paths().values())))


@lru_cache(maxsize=4)
def _finite(params: RunFoldersZoo, contents: tuple[str, ...]) -> list[Member]:
    del contents  # part of the cache's key
    members, expected = described_members(params), expected_by(params, build(params.network))
    found = zip(members, matched(params, members, expected), strict=True)
    return [member for member, row in found if not isinstance(row, Diverged)]


def described_members(params: RunFoldersZoo) -> list[Member]:
    """The runs that `zoo.where` leaves, with their hyper-parameters and the results of their epoch."""
    runs = {run.checkpoint: run for run in params.runs()}
    members = [replace(member, facts=facts_of_run(runs[member.name])) for member in all_members(params)]
    return fulfilling(members, params)


def make(params: RunFoldersZoo, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
    """Read and check the checkpoints of one shard.

    Raises UsageError, Damaged or LayoutMismatch naming the file, and the tensor if it is about one.
    """
    return read_shard(params, chosen_members(params), shard, module, data, ctx)


def summarize(params: RunFoldersZoo, zoo: Shards) -> dict[str, Any]:
    """How many runs were left out and why, of which epochs the others are, and what isn't known of every member.

    Raises UsageError if two runs have the same weights.
    """
    check_rows_distinct(zoo)
    counts = [len(params.checkpoints()), len(params.found()), len(all_members(params))]
    counts += [len(described_members(params)), len(finite_members(params)), len(zoo)]
    reasons = (
        "no checkpoint of the epoch",
        "by zoo.skip",
        "by zoo.where",
        "NaN or Inf among their weights",
        "not drawn",
    )
    left_out = {reason: a - b for reason, a, b in zip(reasons, counts[:-1], counts[1:], strict=True) if a > b}
    epochs = Counter(f"{epoch:.0f}" for epoch in zoo.facts("epoch"))
    return {
        "left_out": left_out,
        "epochs": dict(epochs),
        "unknown_facts": unknown_facts(zoo),
        "notes": notes_of(zoo),
    }
