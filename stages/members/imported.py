"""Members of an imported zoo: which networks the files hold, what they are called, and how they are split."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages.errors import UsageError
from stages.params.checkpoints import ImportedZoo, content_of, names
from stages.seeds import generator


@dataclass(frozen=True)
class Member:
    """One network among a zoo's checkpoints."""

    path: Path
    """The file that holds it."""
    position: int | str | None
    """Its index or key in a file that holds several networks. None: the file holds this one alone."""
    name: str
    """The file's name below the pattern's fixed folder, with the position: `a/run3.pt`, `zoo.pt:0003`."""


def chosen_members(params: ImportedZoo) -> list[Member]:
    """The zoo's members, held-out ones last: a random choice by the seed, in natural order within each split.

    Raises UsageError if there are too few, or two files with the same content.
    """
    members = all_members(params)
    count = (params.members or max(2, len(members) - params.heldout)) + params.heldout
    if len(members) < count:
        matched = "1 checkpoint" if len(members) == 1 else f"{len(members)} checkpoints"
        raise UsageError(
            f"zoo.files: {params.files} matches {matched}, expected at least {count}: {count - params.heldout} to "
            f"learn from and {params.heldout} held out"
        )
    chosen = torch.randperm(len(members), generator=generator(params.seed, "split"))[:count].tolist()
    train, heldout = sorted(chosen[: -params.heldout]), sorted(chosen[-params.heldout :])
    return [members[i] for i in train + heldout]


def all_members(params: ImportedZoo) -> list[Member]:
    """Every network in the files, in natural order. Raises UsageError if two files have the same content."""
    paths = params.paths()
    check_distinct(zip(map(content_of, paths), paths, strict=True))
    return [Member(path, None, name) for path, name in zip(paths, names(params.files, paths), strict=True)]


def check_distinct(contents: Iterable[tuple[Any, object]]) -> None:
    """Raise UsageError if a network occurs twice: it could be held out and learned from at once."""
    seen: dict[Any, object] = {}
    for content, name in contents:
        if content in seen:
            raise UsageError(f"zoo.files: {seen[content]} and {name} hold the same network; leave one of them out")
        seen[content] = name
