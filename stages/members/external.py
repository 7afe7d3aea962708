"""Facts that stores have of members that other programs trained, and how many of these are read at once."""

from collections.abc import Sequence

import numpy as np

from stages.members.choice import Described
from stages.members.data import Data
from stages.members.facts import columns, missing
from stages.members.shards import Shard
from stages.params.external import ExternalZoo
from stages.store.weights import UNKNOWN, Shards

GIGABYTE = 2**30
MAX_SHARD_SIZE = 500
"""Members in a shard at most, however small they are."""


def shard_size(params: ExternalZoo, largest: int) -> int:
    """Members in a shard, whose files have at most `largest` bytes."""
    return params.shard_size or max(1, min(MAX_SHARD_SIZE, GIGABYTE // max(1, largest)))


def member_facts(
    params: ExternalZoo, shard: Shard, members: Sequence[Described], notes: Sequence[str], data: Data
) -> dict[str, np.ndarray]:
    """Facts about the members of one shard of all `members`, with notes on how they were read.

    What the zoo reports of its members is typed by all of them, so that shards have the same columns.
    """
    positions, here = np.arange(shard.start, shard.stop), members[shard.start : shard.stop]
    reported = columns([member.facts for member in members], params.categories)
    return (
        {
            "seed": np.full(len(here), -1),  # another program drew it
            "attempt": np.zeros(len(here), dtype=np.int64),
            "split": np.where(positions < len(members) - params.heldout, "train", "held-out").astype(object),
            "initialisation": np.full(len(here), UNKNOWN, dtype=object),
            "dataset": np.full(len(here), next(iter(data), UNKNOWN), dtype=object),
            "file": np.array([member.name for member in here], dtype=object),
            "notes": np.array(notes, dtype=object),
        }
        | {name: column[shard.start : shard.stop] for name, column in reported.items()}
    )


def unknown_facts(zoo: Shards) -> dict[str, int]:
    """The facts that aren't known of every member, with how many lack them."""
    counts = {name: int(missing(zoo.facts(name)).sum()) for name in zoo.attrs.get("facts", ())}
    return {name: count for name, count in counts.items() if count}
