"""The networks in a checkpoint: which of its sets of tensors are meant, and whether there is one network or many."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from torch import Tensor

from stages.errors import UsageError
from stages.store.checkpoint_formats import read_content
from stages.store.state_dicts import Expected
from stages.store.tensor_sets import AVERAGED, Sets, joined, sets_in, sets_under, unnamed_in

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Names under which programs keep a network's weights, the likeliest first."""
SWAPPED = {"state_dict": "current_model_state"}
"""Places of a moving average if the other place is there, which then has the weights (Lightning's WeightAveraging)."""

LISTED = 8
"""Most places that a message lists."""

Group = list[str]
"""Places that differ in nothing but numbers, such as `seed0` and `seed1`: networks of one kind."""


@dataclass(frozen=True)
class Checkpoint:
    """One network's tensors as the file names them, and a few words on what was taken and what was left."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where in a file a network is."""

    key: str
    """The set that holds it."""
    index: int | None = None
    """Its index along the leading axis, if networks are stacked there."""
    count: int = 1
    """The number of networks that are stacked there."""


@dataclass(frozen=True)
class Checkpoints:
    """The networks of one file."""

    sets: Sets
    places: list[Place]
    positions: list[str]
    """Each network's place among those of the file, such as `0003` or `seed0`; empty if there is only one."""
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> Checkpoint:
        place = self.places[position]
        tensors = self.sets[place.key]
        if place.index is not None:
            stacked = (place.count,)
            tensors = {name: t[place.index] if t.shape[:1] == stacked else t for name, t in tensors.items()}
        return Checkpoint(tensors, self.notes)


def read_checkpoints(path: Path, expected: Expected, key: str | None = None, ema: bool = False) -> Checkpoints:
    """The networks in a file, or their moving averages: one, or many that lie side by side or are stacked.

    `key` is the place of the network where that isn't a usual one; each match of `*` in it is a network. Raises
    UsageError if the file can't be read without running code of its own, or doesn't say which tensors are meant, and
    Damaged if it isn't whole.
    """
    content = read_content(path)
    if not (sets := sets_in(content, expected)):
        raise UsageError(f"{path}: holds no named tensors ({type(content).__name__}); save model.state_dict()")
    if key is not None:
        found = ", ".join(map(repr, sets))
        if not (sets := sets_under(sets, key.rstrip("."))):
            raise UsageError(f"{path}: has nothing under zoo.key, {key!r}; found {found or 'the top level alone'}")
    wanted, other = _weights_and_averages(sets, key or "", ema)
    fitting, others = ([group for group in groups if _fits(group, sets, expected)] for groups in (wanted, other))
    if not fitting and (others or not wanted):
        raise UsageError(f"{path}: {_nothing(content, others or other, ema)}")
    aside = [] if ema or not others else [f"moving average under {_listed(others)} left aside (zoo.ema: true takes it)"]
    return _networks(_likeliest(path, _innermost(fitting or wanted)), sets, expected, aside)


def _grouped(sets: Sets, key: str) -> list[Group]:
    groups: dict[str, Group] = {}
    for place in sets:
        groups.setdefault(key if "*" in key else re.sub(r"\d+", "#", place), []).append(place)
    return list(groups.values())


def _fits(group: Group, sets: Sets, expected: Expected) -> bool:
    return any(expected.fits(sets[place]) for place in group)


def _weights_and_averages(sets: Sets, key: str, ema: bool) -> tuple[list[Group], list[Group]]:
    """What is wanted and the other, of weights and moving averages."""
    groups = _grouped(sets, key)
    averages, weights = list[Group](), list[Group]()
    for group in groups:
        averaged = _depth(group[0] if ema else group[0].removeprefix(key), sets)
        (averages if averaged else weights).append(group)
    if not ema:
        return weights, averages
    return averages or [group for group in weights if "n_averaged" in sets[group[0]]], weights


def _innermost(groups: list[Group]) -> list[Group]:
    """Of moving averages within one another, the innermost; all groups of weights."""
    depths = [_depth(group[0]) for group in groups]
    return [group for group, depth in zip(groups, depths, strict=True) if depth == max(depths)]


def _depth(place: str, sets: Collection[str] = ()) -> int:
    """How many of the keys that lead to a place are those of a moving average."""
    return sum(bool(AVERAGED.search(part)) for part in place.split(".")) + (SWAPPED.get(place) in sets)


def _nothing(content: Any, groups: list[Group], ema: bool) -> str:
    """What to say where there is nothing of what is wanted."""
    if not ema:
        return f"holds only a moving average, under {_listed(groups)}; set zoo.ema: true"
    for place in unnamed_in(content):
        return f"the tensors of {place!r} have no names; copy the average into the model and save model.state_dict()"
    return f"holds no moving average (ema), under {_listed(groups)}; set zoo.ema: false"


def _likeliest(path: Path, groups: list[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    for name in USUAL:
        if len(fitting := [group for group in groups if name in group[0].split(".")]) == 1:
            return fitting[0]
    place = groups[0][0]
    raise UsageError(
        f"{path}: holds several sets of tensors, {_listed(groups)}; zoo.key: {place or groups[1][0]} takes one of "
        f"them, {joined(place.rpartition('.')[0], '*')!r} each as a network of its own"
    )


def _listed(groups: list[Group]) -> str:
    """The first place of each group, of the first few groups."""
    more = {group[0]: f" and {len(group) - 1} like it" if len(group) > 1 else "" for group in groups[:LISTED]}
    places = [(repr(place) if place else "the file's top level") + rest for place, rest in more.items()]
    return ", ".join([*places, *([f"and {len(groups) - LISTED} more"] if len(groups) > LISTED else [])])


def _networks(group: Group, sets: Sets, expected: Expected, notes: list[str]) -> Checkpoints:
    places = [place for key in group for place in _stacked(key, expected.stacked(sets[key]))]
    if len(places) > 1:
        notes = [f"one of {len(places)} networks in its file", *notes]
    elif group[0]:
        notes = [f"taken from {group[0]!r}", *notes]
    varying = dict(zip(group, _varying(group), strict=True))
    positions = [":".join(part for part in (varying[p.key], _numbered(p.index)) if part) for p in places]
    return Checkpoints(sets, places, positions if len(places) > 1 else [""], tuple(notes))


def _stacked(key: str, count: int | None) -> list[Place]:
    return [Place(key)] if count is None else [Place(key, index, count) for index in range(count)]


def _varying(group: Group) -> list[str]:
    """Of each place, the keys in which the group's places differ."""
    places = [place.split(".") for place in group]
    if len({len(keys) for keys in places}) > 1:
        return group
    differs = [len(set(keys)) > 1 for keys in zip(*places, strict=True)]
    return [".".join(_numbered(key) for key in compress(keys, differs)) for keys in places]


def _numbered(key: str | int | None) -> str:
    """A key or an index; numbers have four digits, so that they sort."""
    return "" if key is None else f"{int(key):04d}" if str(key).isdecimal() else str(key)
