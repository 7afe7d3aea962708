"""Members that other programs trained, read from their checkpoints."""

from typing import Any

from torch import nn

from stages.context import Context
from stages.members.data import Data
from stages.members.external import unknown_facts
from stages.members.imported import chosen_members, left_out
from stages.members.reading import check_rows_distinct, cut_by_size, notes_of, read_shard
from stages.members.shards import Shard
from stages.members.sources import Members
from stages.params.checkpoints import ImportedZoo
from stages.store.weights import Shards


def shards(params: ImportedZoo) -> list[Shard]:
    """The members, held-out ones last, cut into shards.

    Raises UsageError if there are too few, or two files with the same content.
    """
    return cut_by_size(params, chosen_members(params))


def make(params: ImportedZoo, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
    """Read and check the checkpoints of one shard.

    Raises UsageError, Damaged, LayoutMismatch or Diverged naming the file, and the tensor if it is about one; all files
    of the zoo that have something wrong, if this shard has one.
    """
    return read_shard(params, chosen_members(params), shard, module, data, ctx)


def summarize(params: ImportedZoo, zoo: Shards) -> dict[str, Any]:
    """How many files were left out, how often each note was taken, and what isn't known of every member.

    Raises UsageError if two files of different formats hold the same network.
    """
    check_rows_distinct(zoo)
    summary = {"files_left_out": left_out(params, len(zoo)), "notes": notes_of(zoo)}
    return summary | ({"unknown_facts": unknown_facts(zoo)} if params.facts else {})
