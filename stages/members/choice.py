"""The choice of a zoo's members among networks trained elsewhere: by their facts, then at random, into two splits."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from stages.errors import UsageError
from stages.members.failures import listed
from stages.params.external import ExternalZoo
from stages.params.facts import Facts
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

    Raises UsageError if there are too few; `found` says what there is, before their number.
    """
    count = (params.members or max(2, len(members) - params.heldout)) + params.heldout
    if len(members) < count:
        number = "1 checkpoint" if len(members) == 1 else f"{len(members)} checkpoints"
        raise UsageError(
            f"{found} {number}, expected at least {count}: {count - params.heldout} to learn from and "
            f"{params.heldout} held out"
        )
    chosen = torch.randperm(len(members), generator=generator(params.seed, "split"))[:count].tolist()
    train, heldout = sorted(chosen[: -params.heldout]), sorted(chosen[-params.heldout :])
    return [members[i] for i in train + heldout]


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
