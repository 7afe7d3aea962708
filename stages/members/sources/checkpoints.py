"""Members that other programs trained, read from their checkpoints."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.context import Context
from stages.errors import UsageError
from stages.members.data import Data
from stages.members.shards import Shard, cut
from stages.members.sources import Members
from stages.params.checkpoints import ImportedZoo, content_of, names
from stages.seeds import generator
from stages.store.checkpoint_files import read_checkpoint
from stages.store.state_dicts import Expected
from stages.store.weights import UNKNOWN, Shards

GIGABYTE = 2**30
MAX_SHARD_SIZE = 500
"""Members in a shard at most, however small they are."""


def shards(params: ImportedZoo) -> list[Shard]:
    """The members, held-out ones last, cut into shards.

    Raises UsageError if there are too few files, or two with the same content.
    """
    files = member_files(params)
    largest = max(path.stat().st_size for path in files)
    return cut(len(files), params.shard_size or max(1, min(MAX_SHARD_SIZE, GIGABYTE // max(1, largest))))


def member_files(params: ImportedZoo) -> list[Path]:
    """Each member's file, held-out ones last: a random choice by the seed, in natural order within each split."""
    paths = params.paths()
    _check_distinct(zip(map(content_of, paths), paths, strict=True))
    count = (params.members or max(2, len(paths) - params.heldout)) + params.heldout
    if len(paths) < count:
        matched = "1 checkpoint" if len(paths) == 1 else f"{len(paths)} checkpoints"
        raise UsageError(
            f"zoo.files: {params.files} matches {matched}, expected at least {count}: {count - params.heldout} to "
            f"learn from and {params.heldout} held out"
        )
    chosen = torch.randperm(len(paths), generator=generator(params.seed, "split"))[:count].tolist()
    train, heldout = sorted(chosen[: -params.heldout]), sorted(chosen[-params.heldout :])
    return [paths[i] for i in train + heldout]


def _check_distinct(contents: Iterable[tuple[Any, object]]) -> None:
    """Raise UsageError if a network occurs twice: it could be held out and learned from at once."""
    seen: dict[Any, object] = {}
    for content, name in contents:
        if content in seen:
            raise UsageError(f"zoo.files: {seen[content]} and {name} hold the same network; leave one of them out")
        seen[content] = name


def make(params: ImportedZoo, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
    """Read and check the checkpoints of one shard.

    Raises UsageError, Damaged, LayoutMismatch or Diverged naming the file, and the tensor if it is about one.
    """
    files, expected = member_files(params), Expected.of_module(module)
    positions, read = np.arange(shard.start, shard.stop), files[shard.start : shard.stop]
    rows, notes = _read(params, read, expected, ctx)
    return rows, {
        "seed": np.full(len(positions), -1),  # another program drew it
        "attempt": np.zeros(len(positions), dtype=np.int64),
        "split": np.where(positions < len(files) - params.heldout, "train", "held-out").astype(object),
        "initialisation": np.full(len(positions), UNKNOWN, dtype=object),
        "dataset": np.full(len(positions), next(iter(data), UNKNOWN), dtype=object),
        "file": np.array(names(params.files, read), dtype=object),
        "notes": np.array(notes, dtype=object),
    }


def _read(params: ImportedZoo, files: list[Path], expected: Expected, ctx: Context) -> tuple[Tensor, list[str]]:
    """Rows [files, parameters], and notes on what was converted or left out to get each of them."""
    rows, notes = torch.empty(len(files), expected.layout.size), []
    for i, file in enumerate(files):
        checkpoint = read_checkpoint(file, params.ema)
        matched = expected.match(checkpoint.tensors, str(file))
        rows[i] = matched.row
        notes.append("; ".join(checkpoint.notes + matched.notes))
        ctx.progress((i + 1) / (len(files) + 1), f"{file.name}: {notes[-1] or 'as it is'}")
    return rows, notes


def summarize(params: ImportedZoo, zoo: Shards) -> dict[str, Any]:
    """How many files were left out, and how often each note was taken.

    Raises UsageError if two files of different formats hold the same network.
    """
    digests = (digest.tobytes() for digest in zoo.facts("sha256"))
    _check_distinct(zip(digests, zoo.facts("file"), strict=True))
    notes = Counter(note for line in zoo.facts("notes") for note in str(line).split("; ") if note)
    return {"files_left_out": len(params.paths()) - len(zoo), "notes": dict(sorted(notes.items()))}
