"""The choice of a zoo's members among networks trained elsewhere: by their facts, then at random, into two splits."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from stages.errors import UsageError, did_you_mean
from stages.members.failures import listed
from stages.params.external import ExternalZoo
from stages.params.facts import Facts, text
from stages.params.where import check_names
from stages.seeds import generator


@runtime_checkable
class Described(Protocol):
    """A network of a zoo, by the name of its file and what is known about it."""

    @property
    def name(self) -> str:
        """The file's name below the zoo's folder, with the position in it."""
        ...

    @property
    def facts(self) -> Facts:
        """What is known about it."""
        ...


M = TypeVar("M", bound=Described)
"""A source's own kind of member."""


def fulfilling(members: Sequence[M], params: ExternalZoo) -> list[M]:
    """The members whose facts fulfil `zoo.where`.

    Raises UsageError naming a fact that no member has, or the condition that none fulfils.
    """
    conditions = params.conditions
    check_names(conditions, {name for member in members for name in member.facts} if conditions else set())
    left = list(members)
    for condition in conditions:
        before, left = left, [member for member in left if condition.holds(member.facts.get(condition.name))]
        if not left:
            found = sorted({str(member.facts.get(condition.name, "unknown")) for member in before})[:8]
            raise UsageError(
                f"zoo.where: no member is left with {condition.name} {condition.operator} {condition.value}; "
                f"found {', '.join(found)}"
            )
    return left


def choose(members: Sequence[M], params: ExternalZoo, found: str) -> list[M]:
    """Members that the flow may be trained on, then held-out ones: a random choice by the seed, in order within each.

    With `zoo.group`, whole runs are drawn until there are enough, and what is beyond the number asked for is left out,
    so that no run is on both sides. Raises UsageError if there are too few; `found` says what there is, before their
    number.
    """
    runs = _runs(members, params)
    wanted = params.members or max(2, len(members) - params.heldout)
    order = torch.randperm(len(runs), generator=generator(params.seed, "split")).tolist()
    if params.group is None:  # each run has one network
        train, heldout = order[:wanted], order[wanted : wanted + params.heldout]
    else:
        heldout, others = _first_runs(runs, order, params.heldout)
        train = _first_runs(runs, others, params.members or len(members))[0]
        train, heldout = ([i for run in split for i in runs[run]] for split in (train, heldout))
        train, heldout = train[: params.members], heldout[: params.heldout]
    if len(heldout) < params.heldout or len(train) < (params.members or 2):
        number = "1 checkpoint" if len(members) == 1 else f"{len(members)} checkpoints"
        of_runs = f" of {len(runs)} runs by {params.group}" if params.group is not None else ""
        raise UsageError(
            f"{found} {number}{of_runs}, expected at least {wanted + params.heldout}: {wanted} to learn from and "
            f"{params.heldout} held out"
        )
    return [members[i] for i in sorted(train) + sorted(heldout)]


def _first_runs(runs: Sequence[Sequence[int]], order: Sequence[int], count: int) -> tuple[list[int], list[int]]:
    """The first runs in this order that have so many networks together, and the runs after them."""
    sizes = accumulate(len(runs[run]) for run in order)
    enough = next((i for i, size in enumerate(sizes, 1) if size >= count), len(order))
    return list(order[:enough]), list(order[enough:])


def _runs(members: Sequence[Described], params: ExternalZoo) -> list[list[int]]:
    """Positions of the members of each training run, in order. Raises UsageError if a member's run isn't known."""
    if params.group is None:
        return [[i] for i in range(len(members))]
    runs: dict[str, list[int]] = {}
    for i, member in enumerate(members):
        if (run := member.facts.get(params.group)) is None:
            names = {name for other in members for name in other.facts}
            near = "" if params.group in names else did_you_mean(params.group, names)
            raise UsageError(f"zoo.group: {params.group!r} isn't known of {member.name}{near}")
        runs.setdefault(text(run), []).append(i)
    return list(runs.values())


def check_distinct(contents: Iterable[tuple[Any, object]], how: str = "by zoo.skip: [{}]") -> None:
    """Raise UsageError if a network occurs twice: it could be held out and learned from at once.

    `how` says how copies are left out, with their names in the place of `{}`.
    """
    seen: dict[Any, list[object]] = {}
    for content, name in contents:
        seen.setdefault(content, []).append(name)
    if copies := [names for names in seen.values() if len(names) > 1]:
        (first, second, *_), further = copies[0], [name for names in copies for name in names[1:]]
        more = f" (and {len(further) - 1} more are copies)" if len(further) > 1 else ""
        raise UsageError(
            f"zoo: {first} and {second} hold the same network{more}; leave one of them out, "
            f"{how.format(listed(map(repr, further)))}"
        )
