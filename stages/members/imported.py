"""Members of an imported zoo: which networks the files hold, what they are called, and how they are split."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from glob import has_magic
from itertools import groupby
from pathlib import Path

from torch import nn

from stages.checkpoint_paths import content_of, is_named, size_of
from stages.errors import DwfError, UsageError, did_you_mean
from stages.members.choice import check_distinct, choose, fulfilling
from stages.members.fact_sources import facts_of_files
from stages.members.failures import together
from stages.nets.registry import build
from stages.params.checkpoint_files import CheckpointFiles
from stages.params.checkpoints import CheckpointZoo, ImportedZoo
from stages.params.facts import Facts
from stages.store.checkpoint_files import Checkpoints, read_checkpoints
from stages.store.state_dicts import Expected, Matched


@dataclass(frozen=True)
class Member:
    """One network among a zoo's checkpoints."""

    path: Path
    """The file that holds it."""
    position: int
    """Its number among the networks of the file; 0 if it is the only one."""
    name: str
    """The file's name below the pattern's fixed folder, with the position: `a/run3.pt`, `zoo.pt:0003`."""
    size: int
    """Its share of the file, in bytes."""
    facts: Facts = field(default_factory=dict, hash=False)
    """What is known about it."""


def chosen_members(params: ImportedZoo) -> list[Member]:
    """The zoo's members, held-out ones last: a random choice by the seed, in natural order within each split.

    Raises UsageError if there are too few, or two files with the same content.
    """
    members = all_members(params)
    facts = facts_of_files(params.facts, {member.name: member.path for member in members})
    described = [replace(member, facts=facts[member.name]) for member in members]
    return choose(fulfilling(described, params), params, f"{params.place} matches")


def all_members(params: CheckpointZoo) -> list[Member]:
    """Every network in the files, in natural order, but for those that are skipped.

    Raises UsageError if two files have the same content or a name in `skip` means nothing, and what is wrong with files
    that can't be read.
    """
    return [member for member in _members(params) if not is_named(member.name, params.skip)]


def left_out(params: CheckpointZoo, kept: int) -> int:
    """The number of files, and of networks in those with several, that aren't among the `kept` members."""
    return len(params.found()) - len(params.paths()) + len(_members(params)) - kept


def _members(params: CheckpointZoo) -> list[Member]:
    paths = params.paths()
    return _members_in(params, tuple(paths.items()), tuple(map(content_of, paths.values())))


@lru_cache(maxsize=4)
def _members_in(params: CheckpointZoo, paths: tuple[tuple[str, Path], ...], contents: tuple[str, ...]) -> list[Member]:
    """The networks in files of these contents."""
    members = networks_in(params, expected_by(params, build(params.network)), dict(paths))
    check_distinct(zip(contents, dict(paths), strict=True))
    return members


def networks_in(params: CheckpointFiles, expected: Expected, paths: Mapping[str, Path]) -> list[Member]:
    """Every network in these files, in their order, copies of others and those that `skip` leaves out, too.

    Raises UsageError if a name in `skip` means nothing, and what is wrong with files that can't be read, naming all.
    """
    members, failures = list[Member](), dict[str, DwfError]()
    for name, path in paths.items():
        try:
            found = _opened(params, path, expected)
        except DwfError as error:
            failures[name] = error
            continue
        names = [f"{name}:{position}" if position else name for position in found.positions]
        members += [Member(path, i, n, size_of(path) // len(found)) for i, n in enumerate(names)]
    if failures:
        raise together(failures, len(paths))
    _check_named(params.skip, {*params.found(), *(member.name for member in members)})
    return members


def _check_named(skip: tuple[str, ...], names: set[str]) -> None:
    """Raise UsageError for a name, without `*` and the like, that means nothing."""
    for pattern in skip:
        if not has_magic(pattern) and not any(is_named(name, (pattern,)) for name in names):
            raise UsageError(f"zoo.skip: {pattern!r} is none of the zoo's files{did_you_mean(pattern, names)}")


def expected_by(params: CheckpointFiles, module: nn.Module) -> Expected:
    """What the files hold of this network, by the names that they have for it."""
    return Expected.of_module(module, params.rename, params.ignore)


def matched(params: CheckpointFiles, members: Iterable[Member], expected: Expected) -> Iterator[Matched | DwfError]:
    """The members' rows, or why there is none; a file of several members that follow each other is opened once."""
    for path, same in groupby(members, lambda member: member.path):
        try:
            found: Checkpoints | DwfError = _opened(params, path, expected)
        except DwfError as error:
            found = error
        for member in same:
            yield found if isinstance(found, DwfError) else _matched(found, member, expected)


def _matched(found: Checkpoints, member: Member, expected: Expected) -> Matched | DwfError:
    position = found.positions[member.position]
    checkpoint = found[member.position]
    try:
        row = expected.match(checkpoint.tensors, f"{member.path}:{position}" if position else str(member.path))
    except DwfError as error:
        return error
    return Matched(row.row, checkpoint.notes + row.notes)


def _opened(params: CheckpointFiles, path: Path, expected: Expected) -> Checkpoints:
    return read_checkpoints(path, expected, params.key, params.ema)
