"""A zoo of networks that other programs trained: their checkpoints, checked and written as rows."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.artifacts.members import UNKNOWN
from stages.context import Context, torch_threads
from stages.datasets import load_fitting
from stages.errors import UsageError
from stages.members.scoring import check_shapes, fitness, unknown
from stages.members.shards import Shard, cut
from stages.members.task import score_name
from stages.nets.registry import build
from stages.params.files import content_of, names
from stages.params.imported import ImportedZoo
from stages.seeds import generator
from stages.store.arrays import is_complete
from stages.store.checkpoint_files import read_checkpoint
from stages.store.matching import Expected
from stages.store.weights import Weights, write_weights

GIGABYTE = 2**30
MOST = 500
"""Members in a shard at most, however small they are."""


def shards(params: ImportedZoo) -> list[Shard]:
    """The members, held-out ones last, cut into shards.

    Raises UsageError if there are too few files, or two with the same content.
    """
    paths = members(params)
    largest = max(path.stat().st_size for path in paths)
    return cut(len(paths), params.shard_size or max(1, min(MOST, GIGABYTE // max(1, largest))))


def members(params: ImportedZoo) -> list[Path]:
    """Each member's file, held-out ones last: a random choice by the seed, in natural order within each part."""
    paths = params.found()
    _refuse_copies(zip(map(content_of, paths), paths, strict=True))
    wanted = (params.members or max(2, len(paths) - params.heldout)) + params.heldout
    if len(paths) < wanted:
        count = "1 checkpoint" if len(paths) == 1 else f"{len(paths)} checkpoints"
        raise UsageError(
            f"zoo.files: {params.files} means {count}, expected at least {wanted}: {wanted - params.heldout} to learn "
            f"from and {params.heldout} held out"
        )
    chosen = torch.randperm(len(paths), generator=generator(params.seed, "split"))[:wanted].tolist()
    train, heldout = sorted(chosen[: -params.heldout]), sorted(chosen[-params.heldout :])
    return [paths[i] for i in train + heldout]


def _refuse_copies(contents: Iterable[tuple[Any, object]]) -> None:
    """A network that is there twice could be held out and learned from at once."""
    seen: dict[Any, object] = {}
    for content, name in contents:
        if content in seen:
            raise UsageError(f"zoo.files: {seen[content]} and {name} hold the same network; leave one of them out")
        seen[content] = name


def import_shard(params: ImportedZoo, shard: Shard, ctx: Context) -> bool:
    """Read, check and store one shard; False if it was there already. Shards may run side by side.

    Raises UsageError, Damaged, LayoutMismatch or Diverged naming the file, and the tensor if it is about one.
    """
    path = shard.path(ctx.out)
    if is_complete(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    files, module = members(params), build(params.network)
    expected = Expected.of_module(module)
    rows, notes = _read(params, files[shard.start : shard.stop], expected, ctx)
    score, figures = _figures(params, module, rows, ctx)
    facts = _facts(params, files, shard) | {"notes": np.array(notes, dtype=object)} | figures
    dataset = params.dataset.model_dump(mode="json") if params.dataset else None
    attrs = {"network": params.network.model_dump(mode="json"), "dataset": dataset, "stage": "zoo", "score": score}
    write_weights(path, expected.layout, shard.names, rows, facts, attrs)
    return True


def _read(params: ImportedZoo, files: list[Path], expected: Expected, ctx: Context) -> tuple[Tensor, list[str]]:
    """Rows [files, parameters] and what was done to get each of them."""
    rows, notes = torch.empty(len(files), expected.layout.parameters), []
    for i, file in enumerate(files):
        read = read_checkpoint(file, params.ema)
        found = expected.match(read.tensors, str(file))
        rows[i] = found.row
        notes.append("; ".join(read.notes + found.notes))
        ctx.progress((i + 1) / (len(files) + 1), f"{file.name}: {notes[-1] or 'as it is'}")
    return rows, notes


def _facts(params: ImportedZoo, files: list[Path], shard: Shard) -> dict[str, np.ndarray]:
    """What is stored about each member, as far as a file's name tells it."""
    positions = np.arange(shard.start, shard.stop)
    return {
        "seed": np.full(len(positions), -1),  # another program drew it
        "attempt": np.zeros(len(positions), dtype=np.int64),
        "split": np.where(positions < len(files) - params.heldout, "train", "held-out").astype(object),
        "initialisation": np.full(len(positions), UNKNOWN, dtype=object),
        "dataset": np.full(len(positions), params.dataset.name if params.dataset else UNKNOWN, dtype=object),
        "file": np.array(names(params.files, files[shard.start : shard.stop]), dtype=object),
    }


def _figures(
    params: ImportedZoo, module: nn.Module, rows: Tensor, ctx: Context
) -> tuple[str | None, dict[str, np.ndarray]]:
    """What the score is called, and how every member does."""
    if params.dataset is None:
        return None, unknown(len(rows))
    train, validation = load_fitting(params.dataset, ctx.data_root)
    check_shapes(module, train, params.dataset.name)
    with torch_threads(ctx.threads):
        return score_name(train.targets), fitness(module, rows, train, validation, ctx.device)


def import_zoo(params: ImportedZoo, ctx: Context) -> dict[str, Any]:
    """Import the members whose shards aren't there yet, and sum the zoo up: what was done to how many files, too.

    Raises what `shards` and `import_shard` raise, and UsageError if two files of different formats hold one network.
    """
    parts = shards(params)
    for shard in parts:
        import_shard(params, shard, ctx)
    stores = [Weights(shard.path(ctx.out)) for shard in parts]
    digests = (digest.tobytes() for store in stores for digest in store.facts("sha256"))
    _refuse_copies(zip(digests, (name for store in stores for name in store.facts("file")), strict=True))
    notes = Counter(note for s in stores for line in s.facts("notes") for note in str(line).split("; ") if note)
    summary = {
        "networks": sum(map(len, stores)),
        "parameters": stores[0].layout.drawn.parameters,
        "files_left_out": len(params.found()) - sum(map(len, stores)),
        "notes": dict(sorted(notes.items())),
    }
    if params.dataset is None:
        return summary
    score, name = np.concatenate([s.facts("validation_score") for s in stores]), stores[0].attrs["score"]
    return summary | {f"validation_{name}": float(score.mean()), f"validation_{name}_std": float(score.std())}
