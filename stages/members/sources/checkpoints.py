"""Members that other programs trained, read from their checkpoints."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context
from stages.errors import DwfError
from stages.members.data import Data
from stages.members.failures import together
from stages.members.imported import Member, all_members, check_distinct, chosen_members, expected_by, left_out, matched
from stages.members.shards import Shard, cut
from stages.members.sources import Members
from stages.params.checkpoints import ImportedZoo
from stages.store.state_dicts import Expected
from stages.store.weights import UNKNOWN, Shards

GIGABYTE = 2**30
MAX_SHARD_SIZE = 500
"""Members in a shard at most, however small they are."""


def shards(params: ImportedZoo) -> list[Shard]:
    """The members, held-out ones last, cut into shards.

    Raises UsageError if there are too few, or two files with the same content.
    """
    members = chosen_members(params)
    largest = max(member.size for member in members)
    return cut(len(members), params.shard_size or max(1, min(MAX_SHARD_SIZE, GIGABYTE // max(1, largest))))


def make(params: ImportedZoo, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
    """Read and check the checkpoints of one shard.

    Raises UsageError, Damaged, LayoutMismatch or Diverged naming the file, and the tensor if it is about one; all files
    of the zoo that have something wrong, if this shard has one.
    """
    members, expected = chosen_members(params), expected_by(params, module)
    positions, read = np.arange(shard.start, shard.stop), members[shard.start : shard.stop]
    rows, notes, failures = _read(params, read, expected, ctx)
    if failures:
        failures |= _read(params, [member for member in members if member not in read], expected, ctx)[2]
        ordered = {m.name: failures[m.name] for m in all_members(params) if m.name in failures}
        raise together(ordered, len(members))
    return rows, {
        "seed": np.full(len(positions), -1),  # another program drew it
        "attempt": np.zeros(len(positions), dtype=np.int64),
        "split": np.where(positions < len(members) - params.heldout, "train", "held-out").astype(object),
        "initialisation": np.full(len(positions), UNKNOWN, dtype=object),
        "dataset": np.full(len(positions), next(iter(data), UNKNOWN), dtype=object),
        "file": np.array([member.name for member in read], dtype=object),
        "notes": np.array(notes, dtype=object),
    }


def _read(
    params: ImportedZoo, members: list[Member], expected: Expected, ctx: Context
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


def summarize(params: ImportedZoo, zoo: Shards) -> dict[str, Any]:
    """How many files were left out, and how often each note was taken.

    Raises UsageError if two files of different formats hold the same network.
    """
    digests = (digest.tobytes() for digest in zoo.facts("sha256"))
    check_distinct(zip(digests, zoo.facts("file"), strict=True))
    notes = Counter(note for line in zoo.facts("notes") for note in str(line).split("; ") if note)
    return {"files_left_out": left_out(params, len(zoo)), "notes": dict(sorted(notes.items()))}
