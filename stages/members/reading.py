"""Rows of members in checkpoints, a shard at a time, with everything that is wrong with the zoo told at once."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages.context import Context
from stages.errors import DwfError
from stages.members.choice import check_distinct
from stages.members.data import Data
from stages.members.external import member_facts, shard_size
from stages.members.failures import together
from stages.members.imported import Member, all_members, expected_by, matched
from stages.members.shards import Shard, cut
from stages.members.sources import Members
from stages.params.checkpoints import CheckpointZoo
from stages.store.state_dicts import Expected
from stages.store.weights import Shards


def cut_by_size(params: CheckpointZoo, members: Sequence[Member]) -> list[Shard]:
    """Shards of members whose files fit in memory together."""
    return cut(len(members), shard_size(params, max(member.size for member in members)))


def read_shard(
    params: CheckpointZoo, members: Sequence[Member], shard: Shard, module: nn.Module, data: Data, ctx: Context
) -> Members:
    """The members of one shard of all `members`.

    Raises UsageError, Damaged, LayoutMismatch or Diverged naming the file, and the tensor if it is about one; all files
    of the zoo that have something wrong, if this shard has one.
    """
    expected, here = expected_by(params, module), members[shard.start : shard.stop]
    rows, notes, failures = _read(params, here, expected, ctx)
    if failures:
        failures |= _read(params, [member for member in members if member not in here], expected, ctx)[2]
        ordered = {m.name: failures[m.name] for m in all_members(params) if m.name in failures}
        raise together(ordered, len(members))
    return rows, member_facts(params, shard, members, notes, data)


def _read(
    params: CheckpointZoo, members: Sequence[Member], expected: Expected, ctx: Context
) -> tuple[Tensor, list[str], dict[str, DwfError]]:
    """Rows [members, parameters], notes on what was done to get each of them, and what is wrong with whom."""
    rows, notes, failures = torch.empty(len(members), expected.layout.size), list[str](), dict[str, DwfError]()
    for i, (member, found) in enumerate(zip(members, matched(params, members, expected), strict=True)):
        if isinstance(found, DwfError):
            failures[member.name] = found
            continue
        rows[i] = found.row
        notes.append("; ".join(found.notes))
        ctx.progress((i + 1) / (len(members) + 1), f"{member.name}: {notes[-1] or 'as it is'}")
    return rows, notes, failures


def check_rows_distinct(zoo: Shards) -> None:
    """Raise UsageError if two members have the same row, though their files differ."""
    check_distinct(zip((digest.tobytes() for digest in zoo.facts("sha256")), zoo.facts("file"), strict=True))


def notes_of(zoo: Shards) -> dict[str, int]:
    """How often each note on what was done to read a member was taken."""
    notes = Counter(note for line in zoo.facts("notes") for note in str(line).split("; ") if note)
    return dict(sorted(notes.items()))
